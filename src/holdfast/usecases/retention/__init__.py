"""What expired, and how it is deleted."""
