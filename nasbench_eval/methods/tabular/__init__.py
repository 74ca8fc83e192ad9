"""Tabular searches: methods whose every step queries the benchmark table. Needs no torch."""
