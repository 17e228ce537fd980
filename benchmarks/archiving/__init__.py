"""What `make bench-pitr` lets compete: receivers of a server's log, and its replays."""
