"""The two models of the course: fetched once, verified by hash, loaded from a local folder."""
