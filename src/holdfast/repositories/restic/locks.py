"""Lock objects, for the sake of people who use the stock tool on the same repository.

Among ourselves one operation of an addon at a time is the lock, so whatever lock of ours lies here
when a new one is taken is a dead one's. The stock tool takes a lock that is half an hour old for
dead, so one that is held longer is written anew every few minutes.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager

from holdfast.domain.errors import Failure, ObjectMissing, SealBroken, StoreUnavailable
from holdfast.repositories.restic import gojson
from holdfast.repositories.restic.objects import Document, seal_document
from holdfast.repositories.restic.repository import Repository

HOST = "holdfast"
_STALE_NS = 30 * 60 * 1_000_000_000  # restic itself takes a lock of that age for dead
REFRESH = 300.0
"""Seconds."""


@contextmanager
def shared(repository: Repository, now: int, refresh: float = REFRESH) -> Generator[None]:
    """While blocks are written: the stock tool's prune stays away. `now` in ns since 1970.

    StoreUnavailable when somebody else has the repository to himself.
    """
    with _held(_Lock(repository, now, exclusive=False), refresh):
        yield


@contextmanager
def exclusively(repository: Repository, now: int, refresh: float = REFRESH) -> Generator[None]:
    """While blocks are removed: nobody else may write, or read what goes.

    StoreUnavailable when somebody else uses the repository.
    """
    with _held(_Lock(repository, now, exclusive=True), refresh):
        yield


def drop_dead(repository: Repository) -> None:
    """For who writes nothing more, but took over from a worker that died while it wrote."""
    for name, _ in list(repository.objects.names("locks")):
        if _is_ours(_read(repository, name)):
            repository.objects.delete("locks", name)


class _Lock:
    """One lock, whose object is replaced by a younger one now and then."""

    def __init__(self, repository: Repository, now: int, *, exclusive: bool) -> None:
        self.repository = repository
        self.now = now
        self.exclusive = exclusive
        self.name = ""

    def put(self, now: int) -> None:
        document: Document = {
            "time": gojson.instant(now),
            "exclusive": self.exclusive,
            "hostname": HOST,
            "username": HOST,
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
    keeper = threading.Thread(target=_keep, args=(lock, over, refresh), daemon=True)
    try:
        lock.put(lock.now)
        _clear(lock)  # somebody else may have looked when we did
        keeper.start()
        yield
    finally:
        over.set()
        if keeper.ident is not None:
            keeper.join()
        lock.drop()


def _keep(lock: _Lock, over: threading.Event, refresh: float) -> None:
    now = lock.now
    while not over.wait(refresh):
        now += int(refresh * 1_000_000_000)
        try:
            lock.put(now)
        except Failure:
            continue  # the store is away: the next time will do, long before the lock is stale


def _clear(lock: _Lock) -> None:
    """Removes dead locks; StoreUnavailable when a living one is in the way."""
    repository = lock.repository
    for name, _ in list(repository.objects.names("locks")):
        if name == lock.name:
            continue
        found = _read(repository, name)
        dead = _is_ours(found) or lock.now - _age(found) > _STALE_NS
        if dead:
            repository.objects.delete("locks", name)
        elif lock.exclusive or found.get("exclusive"):
            who = f"{found.get('username', '?')}@{found.get('hostname', '?')}"
            raise StoreUnavailable(f"{who} has locked the repository {repository.objects.prefix}")


def _read(repository: Repository, name: str) -> Document:
    try:
        return repository.document("locks", name)
    except (SealBroken, ObjectMissing):
        return {}  # cut off while it was written, or gone meanwhile


def _is_ours(lock: Document) -> bool:
    return lock.get("hostname") == HOST


def _age(lock: Document) -> int:
    return gojson.parse_instant(lock["time"]) if "time" in lock else 0
