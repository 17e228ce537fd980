"""Schema versions, oldest first; each knows how to reach the next."""
