"""Small helpers that know nothing of backups."""
