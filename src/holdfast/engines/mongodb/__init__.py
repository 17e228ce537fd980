"""MongoDB: dumps at one cluster time, managed servers."""
