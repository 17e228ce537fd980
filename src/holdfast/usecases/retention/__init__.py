"""Retention: expiring copies, and deciding about their deletions."""
