"""Bytes to bytes: digest, meter, compression, and the one thread that pumps them."""
