"""Lock objects, for the sake of people who use the stock tool on the same repository.

Among ourselves one operation of an addon at a time is the lock, so whatever lock of ours lies here
when a new one is taken is a dead one's.
"""

from collections.abc import Generator
from contextlib import contextmanager

from holdfast.domain.errors import SealBroken, StoreUnavailable
from holdfast.repositories.restic import gojson
from holdfast.repositories.restic.objects import Document, seal_document
from holdfast.repositories.restic.repository import Repository

HOST = "holdfast"
_STALE_NS = 30 * 60 * 1_000_000_000  # restic itself takes a lock of that age for dead


@contextmanager
def shared(repository: Repository, now: int) -> Generator[None]:
    """While blocks are written: the stock tool's prune stays away. `now` in ns since 1970."""
    with _held(repository, now, exclusive=False):
        yield


@contextmanager
def exclusively(repository: Repository, now: int) -> Generator[None]:
    """While blocks are removed: nobody else may write, or read what goes."""
    with _held(repository, now, exclusive=True):
        yield


@contextmanager
def _held(repository: Repository, now: int, *, exclusive: bool) -> Generator[None]:
    _clear(repository, now, exclusive=exclusive)
    lock: Document = {
        "time": gojson.instant(now),
        "exclusive": exclusive,
        "hostname": HOST,
        "username": HOST,
        "pid": 1,
    }
    name = repository.objects.put("locks", seal_document(repository.key, lock))
    try:
        yield
    finally:
        repository.objects.delete("locks", name)


def _clear(repository: Repository, now: int, *, exclusive: bool) -> None:
    """Removes dead locks; StoreUnavailable when a living one is in the way."""
    for name, _ in list(repository.objects.names("locks")):
        lock = _read(repository, name)
        dead = lock.get("hostname") == HOST or now - _age(lock) > _STALE_NS
        if dead:
            repository.objects.delete("locks", name)
        elif exclusive or lock.get("exclusive"):
            who = f"{lock.get('username', '?')}@{lock.get('hostname', '?')}"
            raise StoreUnavailable(f"{who} has locked the repository {repository.objects.prefix}")


def _read(repository: Repository, name: str) -> Document:
    try:
        return repository.document("locks", name)
    except SealBroken:
        return {}  # cut off while it was written


def _age(lock: Document) -> int:
    return gojson.parse_instant(lock["time"]) if "time" in lock else 0
