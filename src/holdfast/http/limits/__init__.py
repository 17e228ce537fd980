"""Limits on what callers may take of a process."""
