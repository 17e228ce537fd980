"""Long work as lists of steps; each step is repeated whole or not at all."""
