"""General helpers, independent of architecture search."""
