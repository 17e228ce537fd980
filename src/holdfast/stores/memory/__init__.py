"""Objects in this process's memory."""
