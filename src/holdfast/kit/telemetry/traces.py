"""Traces of what a process works on, by default of nothing.

Attributes are ids, kinds, codes and counts: never a message, which may quote data, or a secret.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Attribute = str | int


class Span(Protocol):
    def set(self, name: str, value: Attribute) -> None: ...

    def fail(self, code: str) -> None:
        """Says that the work did not succeed, by the code of its error."""
        ...


class Tracer(Protocol):
    def span(self, name: str, attributes: Mapping[str, Attribute]) -> AbstractContextManager[Span]:
        """Traces the block, as a part of the one around it in this thread. An exception that leaves
        the block is noted by its code, or its type."""
        ...

    def close(self) -> None:
        """Sends what was not sent yet, for a few seconds at most."""
        ...


class Untraced:
    """The tracer and the span of a process that traces nothing."""

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Attribute]) -> Generator[Span]:  # noqa: ARG002
        yield self

    def set(self, name: str, value: Attribute) -> None: ...

    def fail(self, code: str) -> None: ...

    def close(self) -> None: ...


UNTRACED = Untraced()
