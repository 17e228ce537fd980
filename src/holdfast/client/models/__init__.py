"""The objects of the v1 API as the client sees them."""
