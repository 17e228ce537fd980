"""Checks what every object store must do, step by step, against any store.

Runs in CI for every driver and when a user creates a destination: a destination is accepted only
when every step passes. Stops at the first step that fails.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.contracts.store import ObjectStore, Upload
from holdfast.domain.errors import Failure, ObjectMissing

SMALL = 100_000
"""Bytes of the small object."""
LARGE = 9 << 20
"""More than the first part of any driver, so that several parts are sent."""


@dataclass(frozen=True)
class StepResult:
    """The result of a step; `detail` says what went wrong, or what was observed."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Report:
    steps: Sequence[StepResult]

    @property
    def clean(self) -> bool:
        return len(self.steps) == len(STEPS) and all(step.ok for step in self.steps)

    @property
    def broken(self) -> StepResult | None:
        """The step that failed, if any."""
        return next((step for step in self.steps if not step.ok), None)


class Broken(Exception):
    """The store gave a wrong answer."""


def check_store(store: ObjectStore, scratch_prefix: str) -> Report:
    """Writes and removes a few objects below `scratch_prefix`, which ends with `/` and is unused.

    About 19 MB are written and 9 MB read.
    """
    results: list[StepResult] = []
    try:
        for name, step in STEPS:
            results.append(StepResult(name, ok=True, detail=step(store, scratch_prefix)))
    except Broken as broken:
        results.append(StepResult(STEPS[len(results)][0], ok=False, detail=str(broken)))
    except Failure as failure:
        results.append(StepResult(STEPS[len(results)][0], ok=False, detail=failure.message))
    finally:
        with suppress(Failure):  # the steps say what is wrong; this only removes their objects
            store.clear(scratch_prefix)
    return Report(results)


Step = Callable[[ObjectStore, str], str]


def step_write(store: ObjectStore, prefix: str) -> str:
    stat = _put(store, f"{prefix}small", _numbered(SMALL)).commit()
    _equal("the size the store reports after writing", stat.size, SMALL)
    return f"{SMALL} bytes written"


def step_read_back(store: ObjectStore, prefix: str) -> str:
    _same("the bytes read back", store.get(f"{prefix}small"), _numbered(SMALL))
    return f"{SMALL} bytes read, equal"


def step_range(store: ObjectStore, prefix: str) -> str:
    whole = _numbered(SMALL)
    for start, end in ((1000, 70_001), (SMALL - 5, None), (SMALL - 5, SMALL + 5), (SMALL, None)):
        chunks = store.get(f"{prefix}small", start, end)
        _same(f"the bytes from {start} to {end or 'the end'}", chunks, whole[start:end])
    return "ranges are exact"


def step_stat(store: ObjectStore, prefix: str) -> str:
    stat = store.stat(f"{prefix}small")
    _equal("the object's name and size", (stat.key, stat.size), (f"{prefix}small", SMALL))
    return f"{stat.size} bytes"


def step_list(store: ObjectStore, prefix: str) -> str:
    for name in ("sub/inner", "sub-way", "empty"):
        _put(store, f"{prefix}{name}", b"").commit()
    keys = [stat.key for stat in store.list(prefix)]
    expected = [f"{prefix}{name}" for name in ("empty", "small", "sub-way", "sub/inner")]
    _equal("the list of objects", keys, expected)
    below = [stat.key for stat in store.list(f"{prefix}sub/")]
    _equal("the list below a prefix", below, expected[-1:])
    return "complete and in order"


def step_invisible_until_commit(store: ObjectStore, prefix: str) -> str:
    upload = _put(store, f"{prefix}small", b"new")
    try:
        _equal("an object that is being replaced", store.stat(f"{prefix}small").size, SMALL)
        upload.commit()
    finally:
        upload.abort()
    _same("the replaced object", store.get(f"{prefix}small"), b"new")
    return "readers see the old until all of the new is there"


def step_abort(store: ObjectStore, prefix: str) -> str:
    key = f"{prefix}aborted/large"
    upload = _put(store, key, _numbered(LARGE))
    try:
        _equal("the list of unfinished uploads", _unfinished(store, prefix), [key])
        _gone(store, key, "an unfinished object")
    finally:
        upload.abort()
    _gone(store, key, "an aborted object")
    _equal("the list of unfinished uploads after an abort", _unfinished(store, prefix), [])
    _equal("the number of leftovers of an abort", store.clear(f"{prefix}aborted/"), 0)
    return "seen while unfinished, and nothing stays behind"


def _unfinished(store: ObjectStore, prefix: str) -> list[str]:
    return [stat.key for stat in store.list(prefix, unfinished=True)]


def step_multipart(store: ObjectStore, prefix: str) -> str:
    whole = _numbered(LARGE)
    stat = _put(store, f"{prefix}large", whole).commit()
    _equal("the size of a large object", stat.size, LARGE)
    _same("the bytes of a large object", store.get(f"{prefix}large"), whole)
    return f"{LARGE} bytes in several parts, equal"


def step_missing(store: ObjectStore, prefix: str) -> str:
    _gone(store, f"{prefix}never", "an object that was never written")
    store.delete(f"{prefix}never")
    return "a missing object is reported as missing"


def step_delete(store: ObjectStore, prefix: str) -> str:
    store.delete(f"{prefix}large")
    _gone(store, f"{prefix}large", "a deleted object")
    return "gone"


def step_clear(store: ObjectStore, prefix: str) -> str:
    _equal("the number of objects cleared", store.clear(prefix), 4)
    _equal("what is left", [stat.key for stat in store.list(prefix)], [])
    return "nothing is left"


STEPS: Sequence[tuple[str, Step]] = (
    ("write", step_write),
    ("read-back", step_read_back),
    ("range", step_range),
    ("stat", step_stat),
    ("list", step_list),
    ("invisible-until-commit", step_invisible_until_commit),
    ("abort", step_abort),
    ("multipart", step_multipart),
    ("missing", step_missing),
    ("delete", step_delete),
    ("clear", step_clear),
)


def _put(store: ObjectStore, key: str, data: bytes) -> Upload:
    """Writes without commit; aborts when that fails."""
    upload = store.begin(key)
    try:
        upload.write(data)
    except Failure:
        upload.abort()
        raise
    return upload


def _numbered(size: int) -> bytes:
    """Returns bytes of which no two stretches are alike, so that a misplaced one is noticed."""
    return array("I", range(size // 4)).tobytes()


def _gone(store: ObjectStore, key: str, subject: str) -> None:
    for use in (lambda: store.stat(key), lambda: next(store.get(key), None)):
        try:
            use()
        except ObjectMissing:
            continue
        raise Broken(f"{subject} is still there")


def _same(subject: str, chunks: Iterator[bytes], expected: bytes) -> None:
    if b"".join(chunks) != expected:
        raise Broken(f"{subject} are not what was written")


def _equal(subject: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise Broken(f"{subject} should be {expected!r}, the store says {actual!r}")
