"""Pages about one addon: what protects it, its backups, restores, schedules and settings."""
