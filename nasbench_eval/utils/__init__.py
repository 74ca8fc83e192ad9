"""Small helpers that know nothing of architecture search."""
