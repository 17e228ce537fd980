"""The catalogue: rows of everything Holdfast knows, and the only SQL. One file per noun."""
