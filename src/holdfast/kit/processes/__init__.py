"""Starting other programs, watching them, and what they may not see."""
