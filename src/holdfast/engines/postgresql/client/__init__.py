"""Talking to a PostgreSQL server: addresses, sessions, names, errors, and the stock tools."""
