"""Networks of the NAS-Bench-201 space: the supernet, the stand-alone network, and many of these side by side."""
