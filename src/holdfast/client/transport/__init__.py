"""One request and its answer, blocking and awaited."""
