"""Comparing what stores hold with what the catalogue says."""
