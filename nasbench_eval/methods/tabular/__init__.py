"""Tabular methods: searches that query the benchmark table instead of training."""
