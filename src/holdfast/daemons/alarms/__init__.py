"""Loops that notice what is wrong and send it."""
