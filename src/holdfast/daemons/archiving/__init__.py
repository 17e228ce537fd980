"""Archives the logs of servers."""
