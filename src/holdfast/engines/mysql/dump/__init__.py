"""Takes dumps: probe, inventory, archive, and warnings about what a dump leaves out."""
