"""The public face: ``nbeval.api``."""
