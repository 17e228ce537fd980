"""Pages of signing in, of one's own account, and of who may do what."""
