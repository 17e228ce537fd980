"""Restores a dump: preflight, staging databases beside the old ones, swap, undo."""
