"""What shows that addons are protected and that their backups restore."""
