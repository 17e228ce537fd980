"""Pages, one module each: parse, call the API, render."""
