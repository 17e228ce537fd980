"""Alarms: what is open, where it is sent, and what was answered."""
