"""Which server commands talk to, as whom, and how commands are declared."""
