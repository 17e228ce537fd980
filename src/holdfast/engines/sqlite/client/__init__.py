"""SQLite files: which may be touched, how they are opened, tables, literals."""
