"""The objects of a restic repository: packs, trees, indexes, keys."""
