"""Rows of signed reports, and the records that they are made of."""
