"""Snapshots: taking an RDB, proving it, and making a data directory of it."""
