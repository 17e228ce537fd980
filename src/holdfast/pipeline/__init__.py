"""Stages that turn bytes into bytes (digest, meter, compression) and the pump that drives them."""
