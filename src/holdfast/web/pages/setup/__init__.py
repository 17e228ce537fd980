"""The first run: an owner, a database, a first backup and the drill that proves it."""
