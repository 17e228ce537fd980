"""What people sign in with: passwords, codes, passkeys, a single sign-on provider."""
