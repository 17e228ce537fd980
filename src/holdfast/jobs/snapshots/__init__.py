"""Jobs about snapshots: take, restore, replicate, repair, prune, undo."""
