"""Dumps in the format of mongodump, read at one instant."""
