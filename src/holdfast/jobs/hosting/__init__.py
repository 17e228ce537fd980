"""Jobs about managed servers."""
