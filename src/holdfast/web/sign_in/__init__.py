"""What the pages of signing in share."""
