"""Rows about what is stored: copies, deletions, findings, repositories."""
