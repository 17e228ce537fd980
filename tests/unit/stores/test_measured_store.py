"""A measured store is a store like any other, and what was asked of it can be read."""

import secrets
from collections.abc import Iterator

import pytest

from fakes.stores import FaultyStore
from holdfast.conformance.store import check_store
from holdfast.contracts.store import ObjectStore, Versioned
from holdfast.domain.errors import ObjectMissing, StoreUnavailable
from holdfast.kit.clock import SystemClock
from holdfast.kit.telemetry.measures import PROCESS
from holdfast.stores.measured import MeasuredStore, Meter
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options


@pytest.fixture
def name() -> str:
    return f"store-{secrets.token_hex(4)}"


class Ticking:
    """A clock that goes on by a second with every look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds

    boottime = monotonic


def measured(store: ObjectStore, name: str) -> MeasuredStore:
    return MeasuredStore(store, Meter(name, Ticking()))


def value(name: str, **labels: str) -> float | None:
    return PROCESS.get_sample_value(name, labels)


def test_it_obeys_the_law_of_stores(name: str) -> None:
    store = MeasuredStore(MemoryStore(Options()), Meter(name, SystemClock()))
    report = check_store(store, "scratch/")
    assert report.broken is None
    assert report.clean


def test_calls_bytes_and_time_are_counted(name: str) -> None:
    store = measured(MemoryStore(Options()), name)
    upload = store.begin("a/b")
    upload.write(b"x" * 700)
    upload.write(memoryview(b"y" * 300))
    upload.commit()
    assert b"".join(store.get("a/b")) == b"x" * 700 + b"y" * 300
    assert [stat.key for stat in store.list("a/")] == ["a/b"]
    assert value("holdfast_store_moved_bytes_total", store=name, direction="written") == 1000
    assert value("holdfast_store_moved_bytes_total", store=name, direction="read") == 1000
    # Begin, two writes and the commit took a second each by this clock.
    assert value("holdfast_store_call_seconds_sum", store=name, call="put") == 4
    for call in ("put", "get", "list"):
        assert value("holdfast_store_call_seconds_count", store=name, call=call) == 1


def test_errors_are_counted_from_nought_and_a_missing_object_is_none(name: str) -> None:
    faulty = FaultyStore(MemoryStore(Options()), stat=[StoreUnavailable()], read=[None])
    store = measured(faulty, name)
    away = {"store": name, "error": StoreUnavailable.code}
    assert value("holdfast_store_errors_total", **away) == 0
    with pytest.raises(StoreUnavailable):
        store.stat("a")
    with pytest.raises(ObjectMissing):
        store.stat("a")
    assert value("holdfast_store_errors_total", **away) == 1
    assert value("holdfast_store_call_seconds_count", store=name, call="stat") == 2


def test_what_fails_half_way_is_counted(name: str) -> None:
    faulty = FaultyStore(
        MemoryStore(Options()), read=[None, StoreUnavailable()], write=[StoreUnavailable()]
    )
    store = measured(faulty, name)
    with pytest.raises(StoreUnavailable):
        store.begin("a").write(b"1")
    upload = store.begin("a")
    upload.write(b"1" * (3 << 20))
    upload.commit()
    chunks: Iterator[bytes] = store.get("a")
    next(chunks)
    with pytest.raises(StoreUnavailable):
        next(chunks)
    away = {"store": name, "error": StoreUnavailable.code}
    assert value("holdfast_store_errors_total", **away) == 2


def test_hidden_versions_show_through(name: str) -> None:
    class Hiding(MemoryStore):
        hides_versions = True

    store, plain = measured(Hiding(Options()), name), measured(MemoryStore(Options()), name)
    assert isinstance(store, Versioned)
    assert store.hides_versions
    assert not plain.hides_versions
