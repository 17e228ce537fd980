"""Schedules: their due instants, and the rule of firing them."""
