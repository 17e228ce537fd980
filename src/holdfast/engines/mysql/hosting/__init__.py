"""Servers that Holdfast runs itself: processes, and who administers them."""
