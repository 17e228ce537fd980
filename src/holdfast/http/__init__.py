"""HTTP as the API and the web share it: connections, limits, sign-in, errors, health."""
