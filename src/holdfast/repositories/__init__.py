"""Homes of snapshots: deduplicating, encrypted, in the format of a well-known tool."""
