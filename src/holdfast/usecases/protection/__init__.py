"""Objectives, and the drills that prove them."""
