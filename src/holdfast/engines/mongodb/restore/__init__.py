"""Restores: staged in collections beside, then swapped by renames."""
