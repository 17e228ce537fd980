"""RDB files that somebody else made."""
