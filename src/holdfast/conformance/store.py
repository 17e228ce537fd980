"""The law of object stores, step by step, against any store.

Run in CI for every driver and when a user creates a destination: a destination is accepted only
when every promise its driver makes holds there. Stops at the first broken one, and says which.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.contracts.store import ObjectStore, Upload
from holdfast.domain.errors import Failure, ObjectMissing

SMALL = 100_000
LARGE = 9 << 20
"""More than the first part of any driver, so that several parts are sent."""


@dataclass(frozen=True)
class StepResult:
    """`detail` is a sentence: what went wrong, or what was found."""

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
        """The step that failed."""
        return next((step for step in self.steps if not step.ok), None)


class Broken(Exception):
    """The store answered, but not with what it owes."""


def check_store(store: ObjectStore, scratch_prefix: str) -> Report:
    """Writes and removes a few objects below `scratch_prefix` (ends with `/`, used by nobody).

    About 19 MB are written and 9 MB read.
    """
    results: list[StepResult] = []
    try:
        for name, step in STEPS:
            results.append(_run(name, step, store, scratch_prefix))
            if not results[-1].ok:
                break
    finally:
        with suppress(Failure):  # the steps say what is wrong; this only tidies up
            store.clear(scratch_prefix)
    return Report(results)


Step = Callable[[ObjectStore, str], str]


def _run(name: str, step: Step, store: ObjectStore, prefix: str) -> StepResult:
    try:
        return StepResult(name, ok=True, detail=step(store, prefix))
    except Broken as broken:
        return StepResult(name, ok=False, detail=str(broken))
    except Failure as failure:
        return StepResult(name, ok=False, detail=failure.message)


def _write(store: ObjectStore, prefix: str) -> str:
    stat = _put(store, f"{prefix}small", _numbered(SMALL)).commit()
    _equal("the size the store reports after writing", stat.size, SMALL)
    return f"{SMALL} bytes written"


def _read_back(store: ObjectStore, prefix: str) -> str:
    _same("the bytes read back", store.get(f"{prefix}small"), _numbered(SMALL))
    return f"{SMALL} bytes read, equal"


def _range(store: ObjectStore, prefix: str) -> str:
    whole = _numbered(SMALL)
    for start, end in ((1000, 70_001), (SMALL - 5, None), (SMALL - 5, SMALL + 5), (SMALL, None)):
        found = store.get(f"{prefix}small", start, end)
        _same(f"the bytes from {start} to {end or 'the end'}", found, whole[start:end])
    return "ranges are exact"


def _stat(store: ObjectStore, prefix: str) -> str:
    stat = store.stat(f"{prefix}small")
    _equal("the object's name and size", (stat.key, stat.size), (f"{prefix}small", SMALL))
    return f"{stat.size} bytes"


def _list(store: ObjectStore, prefix: str) -> str:
    for name in ("sub/inner", "sub-way", "empty"):
        _put(store, f"{prefix}{name}", b"").commit()
    keys = [stat.key for stat in store.list(prefix)]
    wanted = [f"{prefix}{name}" for name in ("empty", "small", "sub-way", "sub/inner")]
    _equal("the list of objects", keys, wanted)
    below = [stat.key for stat in store.list(f"{prefix}sub/")]
    _equal("the list below a prefix", below, wanted[-1:])
    return "complete and in order"


def _invisible_until_commit(store: ObjectStore, prefix: str) -> str:
    upload = _put(store, f"{prefix}small", b"new")
    try:
        _equal("an object that is being replaced", store.stat(f"{prefix}small").size, SMALL)
        upload.commit()
    finally:
        upload.abort()
    _same("the replaced object", store.get(f"{prefix}small"), b"new")
    return "readers see the old until all of the new is there"


def _abort(store: ObjectStore, prefix: str) -> str:
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


def _multipart(store: ObjectStore, prefix: str) -> str:
    whole = _numbered(LARGE)
    stat = _put(store, f"{prefix}large", whole).commit()
    _equal("the size of a large object", stat.size, LARGE)
    _same("the bytes of a large object", store.get(f"{prefix}large"), whole)
    return f"{LARGE} bytes in several parts, equal"


def _missing(store: ObjectStore, prefix: str) -> str:
    _gone(store, f"{prefix}never", "an object that was never written")
    store.delete(f"{prefix}never")
    return "a missing object is reported as missing"


def _delete(store: ObjectStore, prefix: str) -> str:
    store.delete(f"{prefix}large")
    _gone(store, f"{prefix}large", "a deleted object")
    return "gone"


def _clear(store: ObjectStore, prefix: str) -> str:
    _equal("the number of objects cleared", store.clear(prefix), 4)
    _equal("what is left", [stat.key for stat in store.list(prefix)], [])
    return "nothing is left"


STEPS: Sequence[tuple[str, Step]] = (
    ("write", _write),
    ("read-back", _read_back),
    ("range", _range),
    ("stat", _stat),
    ("list", _list),
    ("invisible-until-commit", _invisible_until_commit),
    ("abort", _abort),
    ("multipart", _multipart),
    ("missing", _missing),
    ("delete", _delete),
    ("clear", _clear),
)


def _put(store: ObjectStore, key: str, data: bytes) -> Upload:
    """Written, not yet committed; aborted when that did not work."""
    upload = store.begin(key)
    try:
        upload.write(data)
    except Failure:
        upload.abort()
        raise
    return upload


def _numbered(size: int) -> bytes:
    """Bytes of which no two stretches are alike, so that a misplaced one is seen."""
    return array("I", range(size // 4)).tobytes()


def _gone(store: ObjectStore, key: str, what: str) -> None:
    for use in (lambda: store.stat(key), lambda: next(store.get(key), None)):
        try:
            use()
        except ObjectMissing:
            continue
        raise Broken(f"{what} is still there")


def _same(what: str, found: Iterator[bytes], wanted: bytes) -> None:
    if b"".join(found) != wanted:
        raise Broken(f"{what} are not what was written")


def _equal(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Broken(f"{what} should be {wanted!r}, the store says {found!r}")
