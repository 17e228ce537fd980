"""Snapshots: takes an RDB, proves it, and makes it a data directory."""
