"""The reading room: documents and questions, and the path from a document to chunks."""
