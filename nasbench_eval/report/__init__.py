"""One self-contained HTML page about a study: verdicts, tables, figures, cells, settings, runs. Does not need torch."""
