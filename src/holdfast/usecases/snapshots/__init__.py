"""Repositories of snapshots: opened, read from, kept up."""
