"""Stores objects in a dictionary: for tests, and as the smallest example of a driver."""

import threading
from collections.abc import Iterator

from holdfast.contracts.store import Stat, Upload
from holdfast.domain.errors import ObjectMissing, ObjectTooLarge, StoreRefused
from holdfast.kit.clock import Clock, SystemClock
from holdfast.stores.keys import checked_clearing, checked_key, checked_prefix
from holdfast.stores.memory.options import Options

_CHUNK_BYTES = 1 << 20


class MemoryStore:
    near = True

    def __init__(self, options: Options, clock: Clock | None = None) -> None:
        self.max_object_bytes = options.max_object_bytes
        self.clock = clock or SystemClock()
        self.lock = threading.Lock()
        self.objects: dict[str, tuple[Stat, bytes]] = {}
        self.unfinished: dict[int, Stat] = {}

    def begin(self, key: str) -> Upload:
        return MemoryUpload(self, checked_key(key))

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        stat, data = self._find(key)
        stop = stat.size if end is None else min(end, stat.size)
        for offset in range(start, stop, _CHUNK_BYTES):
            yield data[offset : min(offset + _CHUNK_BYTES, stop)]

    def stat(self, key: str) -> Stat:
        return self._find(key)[0]

    def list(self, prefix: str, *, unfinished: bool = False) -> Iterator[Stat]:
        checked_prefix(prefix)
        with self.lock:
            visible = [stat for stat, _ in self.objects.values()]
            stats = [*self.unfinished.values()] if unfinished else visible
        yield from sorted((s for s in stats if s.key.startswith(prefix)), key=lambda s: s.key)

    def delete(self, key: str) -> None:
        checked_key(key)
        with self.lock:
            self.objects.pop(key, None)
            self.unfinished = {n: s for n, s in self.unfinished.items() if s.key != key}

    def clear(self, prefix: str) -> int:
        checked_clearing(prefix)
        with self.lock:
            before = len(self.objects) + len(self.unfinished)
            self.objects = {k: v for k, v in self.objects.items() if not k.startswith(prefix)}
            unfinished = {n: s for n, s in self.unfinished.items() if not s.key.startswith(prefix)}
            self.unfinished = unfinished
            return before - len(self.objects) - len(unfinished)

    def _find(self, key: str) -> tuple[Stat, bytes]:
        with self.lock:
            stored = self.objects.get(checked_key(key))
        if stored is None:
            raise ObjectMissing(f"there is no object {key}")
        return stored


class MemoryUpload:
    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store = store
        self._key = key
        self._data = bytearray()
        with store.lock:
            store.unfinished[id(self)] = Stat(key, 0, store.clock.now())

    def write(self, data: bytes | memoryview) -> None:
        if len(self._data) + len(data) > self._store.max_object_bytes:
            raise ObjectTooLarge(f"at most {self._store.max_object_bytes} bytes fit here")
        self._data += data

    def commit(self) -> Stat:
        stat = Stat(self._key, len(self._data), self._store.clock.now())
        with self._store.lock:
            if self._store.unfinished.pop(id(self), None) is None:
                raise StoreRefused("the unfinished upload was removed")
            self._store.objects[self._key] = (stat, bytes(self._data))
        return stat

    def abort(self) -> None:
        self._data = bytearray()
        with self._store.lock:
            self._store.unfinished.pop(id(self), None)


def open_store(options: Options) -> MemoryStore:
    return MemoryStore(options)
