"""Alarms, channels and deliveries as the API shows them."""
