"""Servers that Holdfast runs itself: their processes and their administrator."""
