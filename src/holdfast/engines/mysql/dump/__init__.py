"""Taking a dump: probe, inventory, archive, and what a dump leaves out."""
