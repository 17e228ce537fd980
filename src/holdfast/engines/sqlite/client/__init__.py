"""Files and what they hold: which may be touched, how they are opened, tables, literals."""
