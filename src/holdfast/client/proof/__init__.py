"""Calls for signed reports."""
