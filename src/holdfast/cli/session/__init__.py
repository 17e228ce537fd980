"""The server and token of commands, and how commands are declared."""
