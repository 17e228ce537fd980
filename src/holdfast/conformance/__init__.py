"""The contracts as runnable law: the same code in CI and behind a user's request."""
