"""Servers that Holdfast runs itself: programs, processes, and who administers them."""
