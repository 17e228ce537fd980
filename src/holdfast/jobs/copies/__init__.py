"""Jobs about additional copies: replicate, repair."""
