"""`holdfast alarm`, `holdfast channel` and `holdfast delivery`."""
