"""What callers may send."""
