"""What a process tells of itself: logs, numbers it measured, and traces of its work."""
