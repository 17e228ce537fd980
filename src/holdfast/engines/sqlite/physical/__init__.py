"""Snapshots: consistent copies of files in use."""
