"""Starts other programs, watches them, and hides from them what they must not see."""
