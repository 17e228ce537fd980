"""Connections to the catalogue, paging, and the migration of its schema."""
