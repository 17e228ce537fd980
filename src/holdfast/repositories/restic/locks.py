"""Writes lock objects, for people who use the stock `restic` on the same repository.

Holdfast itself runs one operation of an addon at a time, so its own locks never block it. Each
lock names its operation and attempt: locks of older attempts of the same operation are dead. Other
locks stay until they are stale, because the worker that finds them may have been taken for dead
itself, while their owner lives. `restic` takes a lock that is half an hour old for dead, so a lock
that is held longer is written anew every few minutes.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast.domain.errors import Failure, ObjectMissing, SealBroken, StoreUnavailable
from holdfast.repositories.restic.format import go_json
from holdfast.repositories.restic.format.objects import Document, seal_document
from holdfast.repositories.restic.repository import Repository

HOST = "holdfast"
_STALE_NS = 30 * 60 * 1_000_000_000  # restic itself takes a lock of that age for dead
REFRESH_SECONDS = 300.0


@dataclass(frozen=True)
class LockOwner:
    """The owner of a lock: an operation, and the number of its attempt."""

    operation: str = HOST
    attempt: int = 0

    def replaces(self, other: Document) -> bool:
        """Tells whether a lock belongs to this or an older attempt of the same operation."""
        operation, _, attempt = str(other.get("username", "")).rpartition(".")
        ours = other.get("hostname") == HOST and operation == self.operation
        return ours and attempt.isdigit() and int(attempt) <= self.attempt

    def __str__(self) -> str:
        return f"{self.operation}.{self.attempt}"


ANONYMOUS = LockOwner()


@contextmanager
def shared(
    repository: Repository, now: int, owner: LockOwner = ANONYMOUS, refresh: float = REFRESH_SECONDS
) -> Generator[None]:
    """Locks for writing, so that a `restic prune` stays away. `now` in ns since 1970.

    Raises StoreUnavailable when another program has an exclusive lock.
    """
    with _held(_Lock(repository, now, owner, exclusive=False), refresh):
        yield


@contextmanager
def exclusively(
    repository: Repository, now: int, owner: LockOwner = ANONYMOUS, refresh: float = REFRESH_SECONDS
) -> Generator[None]:
    """Locks for removing blocks: other programs may neither write nor read meanwhile.

    Raises StoreUnavailable when another program uses the repository.
    """
    with _held(_Lock(repository, now, owner, exclusive=True), refresh):
        yield


def drop_dead_locks(repository: Repository, owner: LockOwner) -> None:
    """Removes locks of dead attempts, for an attempt that itself writes nothing more."""
    for name, _ in list(repository.objects.names("locks")):
        if owner.replaces(_read(repository, name)):
            repository.objects.delete("locks", name)


class _Lock:
    """One lock, whose object is replaced by a younger one now and then."""

    def __init__(
        self, repository: Repository, now: int, owner: LockOwner, *, exclusive: bool
    ) -> None:
        self.repository = repository
        self.now = now
        self.owner = owner
        self.exclusive = exclusive
        self.name = ""

    def put(self, now: int) -> None:
        document: Document = {
            "time": go_json.instant(now),
            "exclusive": self.exclusive,
            "hostname": HOST,
            "username": str(self.owner),
            "pid": 1,
        }
        body = seal_document(self.repository.key, document)
        before, self.name = self.name, self.repository.objects.put("locks", body)
        if before:
            self.repository.objects.delete("locks", before)

    def drop(self) -> None:
        if self.name:
            self.repository.objects.delete("locks", self.name)


@contextmanager
def _held(lock: _Lock, refresh: float) -> Generator[None]:
    _clear(lock)
    over = threading.Event()
    keeper = threading.Thread(target=_keep_fresh, args=(lock, over, refresh), daemon=True)
    try:
        lock.put(lock.now)
        _clear(lock)  # another program may have looked when we did
        keeper.start()
        yield
    finally:
        over.set()
        if keeper.ident is not None:
            keeper.join()
        lock.drop()


def _keep_fresh(lock: _Lock, over: threading.Event, refresh: float) -> None:
    now = lock.now
    while not over.wait(refresh):
        now += int(refresh * 1_000_000_000)
        try:
            lock.put(now)
        except Failure:
            continue  # the store is away: the next time is long before the lock is stale


def _clear(lock: _Lock) -> None:
    """Removes dead locks. Raises StoreUnavailable when a living lock is in the way."""
    repository = lock.repository
    for name, _ in list(repository.objects.names("locks")):
        if name == lock.name:
            continue
        lock_document = _read(repository, name)
        time = go_json.parse_instant(lock_document["time"]) if "time" in lock_document else 0
        if lock.owner.replaces(lock_document) or lock.now - time > _STALE_NS:
            repository.objects.delete("locks", name)
        elif lock_document.get("hostname") != HOST and (
            lock.exclusive or lock_document.get("exclusive")
        ):
            holder = f"{lock_document.get('username', '?')}@{lock_document.get('hostname', '?')}"
            raise StoreUnavailable(
                f"{holder} has locked the repository {repository.objects.prefix}"
            )


def _read(repository: Repository, name: str) -> Document:
    try:
        return repository.document("locks", name)
    except (SealBroken, ObjectMissing):
        return {}  # cut off while it was written, or gone meanwhile
