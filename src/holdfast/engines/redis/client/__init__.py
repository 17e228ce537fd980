"""Talks to a Redis or Valkey server: addresses, users, errors, replication, stock tools."""
