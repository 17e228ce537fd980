"""Snapshots: taking a physical copy, proving it, and making a data directory of it."""
