"""Judges restored files: content of dumps, checks of their own, assertions of owners."""
