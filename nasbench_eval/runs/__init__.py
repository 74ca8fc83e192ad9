"""The run-file format: what runners write and analysis reads. Needs no torch."""

BLOCKS = ("standard HPO", "weight sharing")
"""The blocks of a comparison table; every method belongs to one."""
