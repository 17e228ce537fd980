"""Takes a dump: the SQL text of a consistent copy."""
