"""Managed servers, and control over the servers of this machine."""
