"""Snapshots: how large their blocks are, and what their objects are called."""

_GIB = 1 << 30

WHOLE_BLOCK = 1 << 20
"""For files that change as a whole: smaller blocks would only be more of them."""

PAGES_DIRECTORY = "data"
MANIFEST = "holdfast/manifest.json"
FORMAT = "holdfast-snapshot/1"


def page_block(database_bytes: int) -> int:
    """Bytes of a block of a file with pages: small enough that a scattered update stores little
    again, large enough that the index of a large database stays small.
    """
    if database_bytes <= 200 * _GIB:
        return 32 << 10
    return 64 << 10 if database_bytes <= 1024 * _GIB else 128 << 10


def snapshot_key(prefix: str, snapshot: str) -> str:
    """The object whose absence means that there is no such snapshot any more."""
    return f"{prefix}snapshots/{snapshot}"
