"""The contract of object stores: whole objects or none, and errors that say what to do next.

Errors are types of `domain.errors`: StoreUnavailable (try again), StoreRefused (credentials,
bucket, permission), DestinationFull, ObjectMissing, ObjectTooLarge. A store raises no other
error for failures of the network, the disk or the service. Methods may be called from any
thread; one Upload belongs to one thread.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Stat:
    """One visible object. `size` in bytes; `modified` in ms since 1970, the store's clock."""

    key: str
    size: int
    modified: int


class Upload(Protocol):
    """An object being written: invisible before `commit`, gone after `abort`."""

    def write(self, data: bytes | memoryview) -> None:
        """Takes all of `data`; the buffer is the caller's again on return."""
        ...

    def commit(self) -> Stat:
        """Makes the object visible: before this returns readers see the old one, then the new.

        Durable on return. Call once.
        """
        ...

    def abort(self) -> None:
        """Drops what was written. Idempotent, allowed after any failure; never raises."""
        ...


class ObjectStore(Protocol):
    """Keys are `/`-separated segments of `[A-Za-z0-9._-]`, never starting with `/` or holding `..`.

    `max_object_bytes` is the largest object this store can hold as configured. `near`: reading an
    object again costs no network and no money.
    """

    max_object_bytes: int
    near: bool

    def begin(self, key: str) -> Upload: ...

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes [start, end) in chunks of at most a few MiB. ObjectMissing before the first."""
        ...

    def stat(self, key: str) -> Stat:
        """Raises ObjectMissing if there is no such object."""
        ...

    def list(self, prefix: str, *, unfinished: bool = False) -> Iterator[Stat]:
        """Every visible object whose key starts with `prefix`, in key order.

        `unfinished`: instead, every upload that is neither committed nor aborted, one Stat each, in
        key order; `size` is what is known to have arrived (0 if the service does not say),
        `modified` when it began or last grew.
        """
        ...

    def delete(self, key: str) -> None:
        """Deletes the object and any unfinished upload at this key. Missing is success."""
        ...

    def clear(self, prefix: str) -> int:
        """Removes all objects and unfinished uploads under `prefix` (never empty).

        Returns how many were removed. Idempotent; safe to repeat after a crash.
        """
        ...


@runtime_checkable
class Versioned(Protocol):
    """A store that may keep deleted objects. `hides_versions`: a deletion reported that it does."""

    hides_versions: bool


@runtime_checkable
class WriteTriable(Protocol):
    """A far store that tells for next to nothing whether it can be written."""

    def try_write(self, key: str) -> None:
        """Begins to write and gives it up. Raises what a write would raise; leaves nothing."""
        ...
