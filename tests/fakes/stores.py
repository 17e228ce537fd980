"""A store that fails where a test wants it to, and says whether it was asked to."""

from collections.abc import Callable, Iterator, Sequence

from holdfast.contracts.store import ObjectStore, Stat, Upload

Fault = BaseException | Callable[[], object] | None
"""An error to raise, something to do first (abort the operation, say), or nothing this time."""


class FaultyStore:
    """Wraps a store; each call of a method takes the first of its faults, then acts as usual.

    `FaultyStore(store, write=[None, StoreUnavailable()], commit=[StoreRefused()])`: the second
    write and the first commit fail. Methods: begin, write, commit, abort, get, read (each chunk),
    stat, list, delete, clear.
    """

    def __init__(self, store: ObjectStore, **faults: Sequence[Fault]) -> None:
        self.store = store
        self.max_object_bytes = store.max_object_bytes
        self.near = store.near
        self.faults = {method: list(each) for method, each in faults.items()}
        self.calls: list[str] = []

    def strike(self, method: str) -> None:
        self.calls.append(method)
        fault = self.faults[method].pop(0) if self.faults.get(method) else None
        if isinstance(fault, BaseException):
            raise fault
        if fault is not None:
            fault()

    def unused(self) -> dict[str, list[Fault]]:
        """Empty when every fault was met."""
        return {method: rest for method, rest in self.faults.items() if rest}

    def begin(self, key: str) -> Upload:
        self.strike("begin")
        return FaultyUpload(self, self.store.begin(key))

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.strike("get")
        for chunk in self.store.get(key, start, end):
            self.strike("read")
            yield chunk

    def stat(self, key: str) -> Stat:
        self.strike("stat")
        return self.store.stat(key)

    def list(self, prefix: str, *, unfinished: bool = False) -> Iterator[Stat]:
        self.strike("list")
        return self.store.list(prefix, unfinished=unfinished)

    def delete(self, key: str) -> None:
        self.strike("delete")
        self.store.delete(key)

    def clear(self, prefix: str) -> int:
        self.strike("clear")
        return self.store.clear(prefix)


class FaultyUpload:
    def __init__(self, owner: FaultyStore, upload: Upload) -> None:
        self.owner = owner
        self.upload = upload

    def write(self, data: bytes | memoryview) -> None:
        self.owner.strike("write")
        self.upload.write(data)

    def commit(self) -> Stat:
        self.owner.strike("commit")
        return self.upload.commit()

    def abort(self) -> None:
        self.owner.strike("abort")
        self.upload.abort()
