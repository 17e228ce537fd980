"""Loads foreign SQL text and files, within bounds."""
