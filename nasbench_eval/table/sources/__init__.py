"""Readers of the files from which a benchmark table is made, one per source."""
