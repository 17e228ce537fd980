"""Which copies may go, and when."""
