"""Alarms: comparing what is wrong with what is open, sending it, and what people do about it."""
