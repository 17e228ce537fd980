"""Rules of signed reports: their period, and their chain."""
