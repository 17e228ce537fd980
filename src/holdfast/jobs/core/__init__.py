"""The parts of all jobs: steps, the runner, one attempt, consent, origins."""
