"""Jobs about dumps: take, restore, prove, repair."""
