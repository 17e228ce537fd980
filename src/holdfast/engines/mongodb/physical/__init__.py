"""Snapshots of managed servers: files copied while writes wait for a moment, and restored."""
