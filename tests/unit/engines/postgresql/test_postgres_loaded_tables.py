"""A table passes when its data is in, once, to one session."""

import threading

import pytest

from holdfast.domain.errors import Interrupted
from holdfast.engines.postgresql.load.loaded_tables import LoadedTables
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard

BEGUN = 'pg_restore: processing data for table "public.{}"'


@pytest.fixture
def guard() -> Guard:
    return Guard(SystemClock())


def test_the_next_one_says_that_one_is_in(guard: Guard) -> None:
    loaded = LoadedTables(1)
    hear = loaded.listener(["a", "b", "c"])
    assert hear("pg_restore: connecting to database for restore")
    assert hear(BEGUN.format("a"))
    assert hear(BEGUN.format("b"))
    assert loaded.take(guard) == ["a"]
    assert hear(BEGUN.format("c"))
    assert loaded.session_ended(["a", "b", "c"]) == ["b", "c"]
    assert loaded.take(guard) == []


def test_complaints_are_kept() -> None:
    hear = LoadedTables(1).listener([])
    assert not hear("pg_restore: error: could not execute query")
    assert not hear("pg_restore: from TOC entry 3; 1259 1 TABLE a admin")
    assert not hear('DETAIL:  Key (i)=(1) is duplicated: "processing data for table".')


def test_the_last_session_takes_what_is_left(guard: Guard) -> None:
    loaded = LoadedTables(2)
    assert loaded.session_ended(["a"]) == ()
    assert loaded.take(guard) == ["a"]
    assert loaded.session_ended(["b"]) == ["b"]
    assert loaded.take(guard) == []


def test_those_that_follow_share(guard: Guard) -> None:
    loaded = LoadedTables(2, sessions=2)
    loaded.session_ended(["a", "b", "c"])
    assert loaded.take(guard) == ["a", "b"]
    assert loaded.take(guard) == ["c"]


def test_a_tale_of_more_tables_is_none(guard: Guard) -> None:
    loaded = LoadedTables(1)
    hear = loaded.listener(["a"])
    for _ in range(4):
        hear(BEGUN.format("a"))
    assert loaded.take(guard) == ["a"]
    assert loaded.session_ended(["a"]) == []


def test_who_waits_is_stopped(guard: Guard) -> None:
    loaded, heard = LoadedTables(1), list[str]()

    def wait() -> None:
        try:
            loaded.take(guard)
        except Interrupted as reason:
            heard.append(reason.message)

    thread = threading.Thread(target=wait)
    thread.start()
    guard.stop(Interrupted("aborted"))
    thread.join(30)
    assert heard == ["aborted"]
