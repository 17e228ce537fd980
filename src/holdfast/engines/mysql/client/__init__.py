"""Talks to a MariaDB or MySQL server: addresses, sessions, names, errors, and the stock tools."""
