"""From run files to statistics, tables and figures. Does not need torch."""
