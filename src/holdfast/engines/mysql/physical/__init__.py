"""Snapshots: takes a physical copy, proves it, and makes it a data directory."""
