"""Contests of physical copies, one module an engine: what `make bench-snapshots` measures."""
