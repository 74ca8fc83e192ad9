"""Training networks of single cells from scratch."""
