"""Measures what a process asks of a store: how long calls take, what fails, what bytes move."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from holdfast.contracts.store import ObjectStore, Stat, Upload, Versioned, WriteTriable
from holdfast.domain.errors import (
    DestinationFull,
    Failure,
    ObjectMissing,
    ObjectTooLarge,
    StoreRefused,
    StoreUnavailable,
)
from holdfast.kit.clock import Clock
from holdfast.kit.telemetry.measures import PROCESS

_BUCKETS_SECONDS = (0.005, 0.05, 0.25, 1.0, 5.0, 30.0)
"""From a near disk's answer to a far service's retries. Few: there is a series of each for every
store and call."""

_SECONDS = Histogram(
    "holdfast_store_call_seconds",
    "Time that calls of a store took this process: a `put` as long as the store worked on it, a"
    " `get` or a `list` until the first answer.",
    ["store", "call"],
    buckets=_BUCKETS_SECONDS,
    registry=PROCESS,
)
_ERRORS = Counter(
    "holdfast_store_errors",
    "Calls of a store that failed in this process, by the error's code.",
    ["store", "error"],
    registry=PROCESS,
)
_BYTES = Counter(
    "holdfast_store_moved_bytes",
    "Bytes that this process read from a store and wrote to it.",
    ["store", "direction"],
    registry=PROCESS,
)
_ERROR_CODES = [
    error.code for error in (StoreUnavailable, StoreRefused, DestinationFull, ObjectTooLarge)
]


class Meter:
    """Notes the calls of one store, called `name`: the id of its destination, or `platform`."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self.read = _BYTES.labels(name, "read")
        self.written = _BYTES.labels(name, "written")
        for code in _ERROR_CODES:  # a series that begins with the first error has no increase
            _ERRORS.labels(name, code)

    def moment(self) -> float:
        """Seconds, of which only differences mean anything."""
        return self._clock.monotonic()

    def took(self, call: str, seconds: float) -> None:
        _SECONDS.labels(self._name, call).observe(seconds)

    @contextmanager
    def counting_errors(self) -> Generator[None]:
        """A missing object is an answer, not an error."""
        try:
            yield
        except ObjectMissing:
            raise
        except Failure as failure:
            _ERRORS.labels(self._name, failure.code).inc()
            raise

    @contextmanager
    def timing(self, call: str) -> Generator[None]:
        """Times one whole call, whatever comes of it, and counts its errors."""
        began = self.moment()
        try:
            with self.counting_errors():
                yield
        finally:
            self.took(call, self.moment() - began)


class MeasuredStore:
    """A store whose calls are noted by `meter`."""

    def __init__(self, store: ObjectStore, meter: Meter) -> None:
        self._store = store
        self._meter = meter
        self.max_object_bytes = store.max_object_bytes
        self.near = store.near

    @property
    def hides_versions(self) -> bool:
        return isinstance(self._store, Versioned) and self._store.hides_versions

    def begin(self, key: str) -> Upload:
        began = self._meter.moment()
        with self._meter.counting_errors():
            upload = self._store.begin(key)
        return MeasuredUpload(upload, self._meter, self._meter.moment() - began)

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with self._meter.timing("get"):
            chunks = self._store.get(key, start, end)
            chunk = next(chunks, None)
        while chunk is not None:
            self._meter.read.inc(len(chunk))
            yield chunk
            with self._meter.counting_errors():
                chunk = next(chunks, None)

    def stat(self, key: str) -> Stat:
        with self._meter.timing("stat"):
            return self._store.stat(key)

    def list(self, prefix: str, *, unfinished: bool = False) -> Iterator[Stat]:
        with self._meter.timing("list"):
            stats = self._store.list(prefix, unfinished=unfinished)
            stat = next(stats, None)
        while stat is not None:
            yield stat
            with self._meter.counting_errors():
                stat = next(stats, None)

    def delete(self, key: str) -> None:
        with self._meter.timing("delete"):
            self._store.delete(key)

    def clear(self, prefix: str) -> int:
        with self._meter.timing("clear"):
            return self._store.clear(prefix)

    def try_write(self, key: str) -> None:
        """Does nothing where a store cannot be tried."""
        if isinstance(self._store, WriteTriable):
            with self._meter.counting_errors():
                self._store.try_write(key)


class MeasuredUpload:
    """An upload to a measured store; `seconds` is how long the store has worked on it. Between two
    calls the time is the caller's."""

    def __init__(self, upload: Upload, meter: Meter, seconds: float) -> None:
        self._upload = upload
        self._meter = meter
        self._seconds = seconds

    def write(self, data: bytes | memoryview) -> None:
        with self._working():
            self._upload.write(data)
        self._meter.written.inc(len(data))

    def commit(self) -> Stat:
        with self._working():
            stat = self._upload.commit()
        self._meter.took("put", self._seconds)
        return stat

    def abort(self) -> None:
        self._upload.abort()

    @contextmanager
    def _working(self) -> Generator[None]:
        began = self._meter.moment()
        try:
            with self._meter.counting_errors():
                yield
        finally:
            self._seconds += self._meter.moment() - began
