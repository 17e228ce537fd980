"""Commands about users and their sessions."""
