"""Whole systems, composed of retrieval, generation and tuning. No mathematics here."""
