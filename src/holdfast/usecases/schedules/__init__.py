"""Schedules, and what they fire."""
