"""The demonstration: a real PostgreSQL backed up and restored over the API, and proven equal."""
