"""Rows of archived logs: leases and lines, and what is removed."""
