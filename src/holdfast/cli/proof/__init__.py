"""`holdfast proof`: signed reports, and their verification offline."""
