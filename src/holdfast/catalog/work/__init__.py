"""Rows about work: operations, schedules, occurrences, chores, workers."""
