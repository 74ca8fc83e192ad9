"""The run-file format, written by runners and read by analysis. Does not need torch."""

BLOCKS = ("standard HPO", "weight sharing", "training-free")
"""The blocks of a comparison table; every method belongs to one."""

IMPORTED = "other code"
"""The block of imported runs: nbeval did not search for their cells, it only looked them up."""

IMPORTED_NAME = "imported:"
"""What the method of an imported run begins with; the name that its user gave it follows."""
