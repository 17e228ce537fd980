"""Runnable checks of contracts: the same code in CI and behind a user's request."""
