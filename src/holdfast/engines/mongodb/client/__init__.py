"""Talks to a MongoDB server: addresses, connections, facts, errors, programs."""
