"""Drivers of channels, one line each in the registry."""
