"""Servers that Holdfast runs itself: programs, configuration, processes."""
