"""How much the outside may take of a process."""
