"""Repositories of snapshots: deduplicating, encrypted, in the format of restic."""
