"""What users do to sign in, and what others do to users."""
