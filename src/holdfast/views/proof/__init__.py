"""Signed reports as the API shows them."""
