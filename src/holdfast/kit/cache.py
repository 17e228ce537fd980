"""Cache of a pure function, keyed by its inputs: it cannot be out of date."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

F = TypeVar("F")
R = TypeVar("R")


class Memo(Generic[F, R]):
    """Keeps the last result for each key, up to `max_keys` keys, for any number of threads.

    `make` is a pure function. Facts are compared by value and kept, so the caller must change
    neither them nor the result, and must not put objects in them that compare by identity.
    """

    def __init__(self, make: Callable[[F], R], max_keys: int) -> None:
        self._make = make
        self._max_keys = max_keys
        self._results: dict[Hashable, tuple[F, R]] = {}

    def of(self, key: Hashable, facts: F) -> R:
        cached = self._results.get(key)
        if cached is not None and cached[0] == facts:
            return cached[1]
        result = self._make(facts)
        if len(self._results) >= self._max_keys:
            self._results = {}
        self._results[key] = (facts, result)
        return result
