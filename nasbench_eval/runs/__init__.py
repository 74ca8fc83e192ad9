"""The run-file format, written by runners and read by analysis. Does not need torch."""
