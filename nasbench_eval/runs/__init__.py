"""The run-file format: what runners write and analysis reads. Needs no torch."""
