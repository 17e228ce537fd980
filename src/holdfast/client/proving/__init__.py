"""Calls about what protects addons, and what proves it."""
