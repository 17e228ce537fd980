"""What is shown of users and sessions."""
