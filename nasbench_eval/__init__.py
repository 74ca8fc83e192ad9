"""nbeval's library: the NAS-Bench-201 cell space, its benchmark table, weight-sharing searches and their analysis."""

__version__ = "0.1.0"
