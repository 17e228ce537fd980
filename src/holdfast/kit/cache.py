"""What was made of equal facts before is used again: it cannot be out of date."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

F = TypeVar("F")
R = TypeVar("R")


class Memo(Generic[F, R]):
    """The last result for each key, up to `most` keys, for any number of threads.

    `make` is a pure function. Facts are compared as they are, and kept: nobody may change them, or
    the result, and what is equal only because it is the same object does not belong in them.
    """

    def __init__(self, make: Callable[[F], R], most: int) -> None:
        self._make = make
        self._most = most
        self._kept: dict[Hashable, tuple[F, R]] = {}

    def of(self, key: Hashable, facts: F) -> R:
        cached = self._kept.get(key)
        if cached is not None and cached[0] == facts:
            return cached[1]
        result = self._make(facts)
        if len(self._kept) >= self._most:
            self._kept = {}
        self._kept[key] = (facts, result)
        return result
