"""What a process tells of itself: numbers it measured, and traces of its work."""
