"""The only Protocols: what a driver owes, with the law in the docstring."""
