"""Addons: the databases, and what can be done with their servers."""
