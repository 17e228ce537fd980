"""`holdfast addon`."""
