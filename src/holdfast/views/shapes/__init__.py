"""The answers of the API, described once."""
