"""Signed reports about protection."""
