"""Writing a snapshot: cutting, sealing, packing."""
