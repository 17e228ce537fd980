"""When a schedule is due."""
