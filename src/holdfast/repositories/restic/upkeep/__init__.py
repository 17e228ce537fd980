"""Repairing the index, and pruning."""
