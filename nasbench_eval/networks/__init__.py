"""Networks of the NAS-Bench-201 space: the supernet, and stand-alone networks, singly or many side by side."""
