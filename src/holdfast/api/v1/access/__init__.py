"""Routes of users and of their sessions."""
