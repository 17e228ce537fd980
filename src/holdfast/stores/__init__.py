"""Where artifacts live: one folder per kind of destination, one line each in the registry."""
