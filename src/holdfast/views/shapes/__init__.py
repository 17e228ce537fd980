"""What the API answers, described once."""
