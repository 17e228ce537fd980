"""Prompts, tables, progress and exit statuses."""
