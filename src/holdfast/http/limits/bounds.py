"""How much the outside may take of this process, in one place; the operator chooses."""

from dataclasses import dataclass

HEADER_BYTES = 32 << 10
"""Request line and headers together; no client of the v1 API comes near."""
HEADERS = 100


@dataclass(frozen=True)
class Bounds:
    """By the names of the settings. Counts are for this process: `rate_limit` requests with a token
    an hour; `address_limit` requests without a valid one and `guess_limit` wrong ones from an
    address a minute. Times in seconds."""

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
