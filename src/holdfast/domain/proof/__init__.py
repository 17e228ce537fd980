"""Rules of proof: drills."""
