"""Foreign dumps: surveyed, filtered, and loaded with few rights."""
