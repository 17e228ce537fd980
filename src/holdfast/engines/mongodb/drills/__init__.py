"""What drills read and ask."""
