"""From a query to a ranking of chunks."""
