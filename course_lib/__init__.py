"""RAG and fine-tuning, measured: the library of the course. Importing it does no work."""

__version__ = "0.1.0"
