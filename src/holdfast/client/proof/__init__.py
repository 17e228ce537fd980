"""Calls about what protects addons and what proves it: objectives, drills, signed reports."""
