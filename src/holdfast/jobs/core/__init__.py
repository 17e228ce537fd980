"""What every job is made of: steps, the runner, one attempt, consent, origins."""
