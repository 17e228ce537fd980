"""Reading a snapshot: fetching, proving, materialising."""
