"""Archives of logs: switch them on and off, receive, keep."""
