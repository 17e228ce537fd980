"""Long-running loops with no rules inside."""
