"""Objects as files in a directory."""
