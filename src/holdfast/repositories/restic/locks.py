"""Lock objects, for the sake of people who use the stock tool on the same repository.

Among ourselves one operation of an addon at a time is the lock, so locks of ours are in nobody's
way here. Each is signed with its operation and attempt: those of older attempts of the same
operation are dead ones'. Others stay until they are stale, because who finds them may have been
taken for dead itself, while they are a living one's. The stock tool takes a lock that is half an
hour old for dead, so one that is held longer is written anew every few minutes.
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
REFRESH = 300.0
"""Seconds."""


@dataclass(frozen=True)
class Sign:
    """Whose lock it is: an operation, and the number of the attempt."""

    operation: str = HOST
    attempt: int = 0

    def outlived(self, other: Document) -> bool:
        """Is this lock one of an older attempt of the same operation?"""
        operation, _, attempt = str(other.get("username", "")).rpartition(".")
        ours = other.get("hostname") == HOST and operation == self.operation
        return ours and attempt.isdigit() and int(attempt) <= self.attempt

    def __str__(self) -> str:
        return f"{self.operation}.{self.attempt}"


UNSIGNED = Sign()


@contextmanager
def shared(
    repository: Repository, now: int, sign: Sign = UNSIGNED, refresh: float = REFRESH
) -> Generator[None]:
    """While blocks are written: the stock tool's prune stays away. `now` in ns since 1970.

    StoreUnavailable when somebody else has the repository to himself.
    """
    with _held(_Lock(repository, now, sign, exclusive=False), refresh):
        yield


@contextmanager
def exclusively(
    repository: Repository, now: int, sign: Sign = UNSIGNED, refresh: float = REFRESH
) -> Generator[None]:
    """While blocks are removed: nobody else may write, or read what goes.

    StoreUnavailable when somebody else uses the repository.
    """
    with _held(_Lock(repository, now, sign, exclusive=True), refresh):
        yield


def drop_dead(repository: Repository, sign: Sign) -> None:
    """For who writes nothing more, but took over from a worker that died while it wrote."""
    for name, _ in list(repository.objects.names("locks")):
        if sign.outlived(_read(repository, name)):
            repository.objects.delete("locks", name)


class _Lock:
    """One lock, whose object is replaced by a younger one now and then."""

    def __init__(self, repository: Repository, now: int, sign: Sign, *, exclusive: bool) -> None:
        self.repository = repository
        self.now = now
        self.sign = sign
        self.exclusive = exclusive
        self.name = ""

    def put(self, now: int) -> None:
        document: Document = {
            "time": go_json.instant(now),
            "exclusive": self.exclusive,
            "hostname": HOST,
            "username": str(self.sign),
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
        if lock.sign.outlived(found) or lock.now - _age(found) > _STALE_NS:
            repository.objects.delete("locks", name)
        elif found.get("hostname") != HOST and (lock.exclusive or found.get("exclusive")):
            who = f"{found.get('username', '?')}@{found.get('hostname', '?')}"
            raise StoreUnavailable(f"{who} has locked the repository {repository.objects.prefix}")


def _read(repository: Repository, name: str) -> Document:
    try:
        return repository.document("locks", name)
    except (SealBroken, ObjectMissing):
        return {}  # cut off while it was written, or gone meanwhile


def _age(lock: Document) -> int:
    return go_json.parse_instant(lock["time"]) if "time" in lock else 0
