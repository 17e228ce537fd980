"""Judges restored servers: checks of their own, assertions of owners."""
