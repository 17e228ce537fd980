"""Database engines: one folder each, one line in the registry."""
