"""Taking in backups that no row knows."""
