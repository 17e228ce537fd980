"""The limits on what callers may take of this process, as the operator sets them."""

from dataclasses import dataclass

HEADER_BYTES = 32 << 10
"""Request line and headers together; no client of the v1 API comes near."""
HEADERS = 100


@dataclass(frozen=True)
class Bounds:
    """Limits by the names of their settings, for this process. Times in seconds.

    `rate_limit` is requests with a token an hour; `address_limit` and `guess_limit` are requests
    without a valid token, and wrong tokens, from an address a minute.
    """

    rate_limit: int = 3_600_000
    address_limit: int = 1200
    guess_limit: int = 30
    connections: int = 1000
    connections_per_address: int = 500
    tails: int = 200
    tails_per_token: int = 20
    head_timeout: float = 15.0
    body_timeout: float = 30.0
    idle_timeout: float = 15.0
    reader_timeout: float = 60.0
