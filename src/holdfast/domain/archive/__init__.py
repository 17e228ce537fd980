"""Rules of archived logs."""
