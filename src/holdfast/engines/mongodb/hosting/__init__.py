"""Servers that Holdfast runs itself: programs, processes, users."""
