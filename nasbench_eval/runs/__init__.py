"""The run-file format, written by runners and read by analysis. Does not need torch."""

BLOCKS = ("standard HPO", "weight sharing", "training-free")
"""The blocks of a comparison table; every method belongs to one."""
