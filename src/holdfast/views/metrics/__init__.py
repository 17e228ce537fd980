"""What `GET /metrics` says: gauges read from rows that are kept anyway."""
