"""Limits how many live logs are open, in all and with one token."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from holdfast.domain.access import Caller
from holdfast.domain.errors import Refused
from holdfast.http.limits.bounds import Bounds


class Full(Refused):
    """There is no room for another live log."""

    code = "tails.full"
    status = 503


class Tails:
    """Counts open live logs, in all and of each token."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._open = 0
        self._of: Counter[str] = Counter()

    @contextmanager
    def one(self) -> Generator[None]:
        """Raises Full when there is no room for another one."""
        if self._open >= self._bounds.tails:
            raise Full("there are too many live logs; try again later")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    @contextmanager
    def one_of(self, caller: Caller) -> Generator[None]:
        """Raises Full when this token has enough of them."""
        if self._of[caller.token_id] >= self._bounds.tails_per_token:
            raise Full("this token has too many live logs open")
        self._of[caller.token_id] += 1
        try:
            yield
        finally:
            self._of[caller.token_id] -= 1
            self._of += Counter()  # forgets those that have none
