"""Restores dumps and snapshots into files in use."""
