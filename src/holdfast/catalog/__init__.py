"""The catalogue: the only SQL. One file per noun; every row that is true about us."""
