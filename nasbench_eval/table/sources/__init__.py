"""Readers of the files that a benchmark table is made from, one per source."""
