"""From run files to statistics, tables and figures. Needs no torch."""
