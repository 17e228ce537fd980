"""Alarms: the rules, and the words of messages about them."""
