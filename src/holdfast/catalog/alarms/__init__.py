"""Rows of alarms: what is open, where it is sent, what was answered, and what was observed."""
