"""Protection as the API and the metrics show it."""
