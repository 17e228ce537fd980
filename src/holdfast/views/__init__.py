"""The read side: shapes for lists and screens, never writes."""
