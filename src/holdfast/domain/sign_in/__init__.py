"""Rules of signing in: how long sessions last, which passwords will do, what groups mean."""
