"""Drivers of stores: one folder per kind, one line each in the registry."""
