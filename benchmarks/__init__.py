"""Measurements against named baselines: ratios of medians, because machines differ."""
