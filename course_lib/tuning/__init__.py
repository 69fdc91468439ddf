"""From examples to an adapted model."""
