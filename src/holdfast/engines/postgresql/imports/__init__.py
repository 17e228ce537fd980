"""Dumps that somebody else made: surveyed, filtered, and loaded without power."""
