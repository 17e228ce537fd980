"""What a process tells of its work: logs, measures and traces."""
