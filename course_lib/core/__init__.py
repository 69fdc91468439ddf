"""Types, protocols, validation and seeds. Imports nothing else of the course."""
