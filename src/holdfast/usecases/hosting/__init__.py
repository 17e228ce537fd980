"""Managed servers, and where a server of this machine has its data directory."""
