"""Backups: list and create them, download, import and restore."""
