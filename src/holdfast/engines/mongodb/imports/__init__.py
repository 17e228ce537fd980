"""Foreign archives: surveyed, filtered, and loaded with few rights."""
