"""Judges restored servers: content of dumps, checks of their own, assertions of owners."""
