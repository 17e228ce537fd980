"""Loading one archive into one database, with pg_restore."""
