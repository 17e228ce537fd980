"""The write side: check a rule, write an intent, one transaction."""
