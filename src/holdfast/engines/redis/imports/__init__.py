"""Imports foreign RDB files."""
