"""Loading SQL text and files that somebody else made, within bounds."""
