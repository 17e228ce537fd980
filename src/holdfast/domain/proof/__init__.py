"""Rules of proof: drills, and signed reports."""
