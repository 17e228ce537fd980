"""Swaps that are cut, repeated, disturbed or have nothing to swap."""

import threading
from dataclasses import replace

import psycopg
import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.big_postgres import MAJOR, filled_with_big
from fixtures.postgres import Log, PostgresServer, ServerFactory, Taken, a_guard, restore, take
from holdfast.contracts.engine import Address, Attempt, Dump
from holdfast.domain.errors import Failure, RestoreDiffers
from holdfast.engines import staging_names
from holdfast.engines.postgresql.client import databases
from holdfast.engines.postgresql.restore import old_databases


@pytest.fixture
def server(blank_server: ServerFactory) -> PostgresServer:
    return filled_with_big(blank_server(MAJOR))


@pytest.fixture
def taken(server: PostgresServer) -> Taken:
    return take(server.engine, server.address)


def attempt(op: str = "op", tag: str = "1") -> Attempt:
    return Attempt(op, tag, lambda _: None)


CUTS = {"with a book": range(12), "without": (4, 5, 6, 8)}
"""After how many ALTERs and DROPs of a swap of two databases, with a third to drop; where there is
a book, a role has to be changed. The last number is all of them."""


class Cut(Exception):
    """The process dies here."""


@pytest.mark.parametrize(
    ("way", "at"),
    [
        pytest.param(way, at, marks=[pytest.mark.slow] if number % 2 else [])
        for way, places in CUTS.items()
        for number, at in enumerate(places)
    ],
)
def test_a_swap_cut_anywhere_is_finished_by_its_repetition(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, way: str, at: int
) -> None:
    """Every statement of the swap is once the last one that ran."""
    server.execute("DROP TABLE big; CREATE TABLE big AS SELECT 1 AS i")
    if way == "without":
        server.execute("DROP ROLE worker")
    taken = take(server.engine, server.address)
    before = fingerprint(server.address)
    server.execute("TRUNCATE big; CREATE TABLE new ()")
    if way == "with a book":
        server.execute("ALTER ROLE worker PASSWORD 'other'")
    server.execute("CREATE DATABASE third")
    mine = attempt("swap", "1")
    server.engine.stage(server.address, taken.dump, taken.fetch, mine, a_guard())
    has_ledger = staging_names.ledger_database(attempt("swap")) in staged_names(server)
    assert has_ledger == (way == "with a book")
    changing = ("ALTER", "DROP")
    count = 0
    original = psycopg.Connection.execute

    def execute(self, query, *args, **kwargs):
        nonlocal count
        text = query.as_string() if hasattr(query, "as_string") else str(query)
        if text.lstrip("b'\"").startswith(changing):
            if count == at:
                raise Cut
            count += 1
        return original(self, query, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", execute)
        try:
            server.engine.swap(server.address, taken.dump, mine, a_guard())
            finished = True
        except Cut:
            finished = False
    assert finished == (at == max(CUTS[way])), f"the swap has {count} statements by now"
    later = attempt("swap", "2")
    server.engine.swap(server.address, taken.dump, later, a_guard())
    server.engine.swap(server.address, taken.dump, later, a_guard())
    assert differences(before, fingerprint(server.address)) == []
    assert staged_names(server) == []


def staged_names(server: PostgresServer) -> list[str]:
    with server.connect("postgres") as opened:
        return [name for prefix in staging_names.OURS for name in databases.names(opened, prefix)]


@pytest.mark.parametrize("way", CUTS)
def test_a_cut_swap_can_be_discarded_into_one_state_or_the_other(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "without":
        server.execute("DROP OWNED BY worker; DROP ROLE worker")
    server.execute("UPDATE big SET t = 'newer' WHERE i = 1")
    cut_swap(server, server.address, take(server.engine, server.address), monkeypatch)
    assert "in place" in server.engine.discard(server.address, attempt("half"))
    assert server.execute("SELECT t FROM big WHERE i = 1") == [("newer",)]
    assert staged_names(server) == []


def test_a_cut_swap_that_replaced_nothing_is_known_for_one(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing old is left to tell of it, so something else is."""
    server.execute("DROP OWNED BY worker; DROP ROLE worker")
    taken = take(server.engine, server.address)
    for name in ("main", "second"):
        server.execute(f"DROP DATABASE {name}", "postgres")
    address = replace(server.address, database="postgres")
    cut_swap(server, address, taken, monkeypatch)
    assert "in place" in server.engine.discard(address, attempt("half"))
    assert server.execute("SELECT a FROM t", "second") == [(1,)]
    assert staged_names(server) == []


def cut_swap(
    server: PostgresServer, address: Address, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its transaction, before anything is dropped."""
    mine = replace(attempt("half"), keep_others=True)
    server.engine.stage(address, taken.dump, taken.fetch, mine, a_guard())
    with monkeypatch.context() as patch:
        patch.setattr(old_databases, "drop_old", die)
        with pytest.raises(Cut):
            server.engine.swap(address, taken.dump, mine, a_guard())


def die(*_: object) -> None:
    raise Cut


def test_a_swap_without_a_stage_is_refused(server: PostgresServer, taken: Taken) -> None:
    server.execute("DROP TABLE t", "second")
    with pytest.raises(RestoreDiffers, match="nothing is staged"):
        server.engine.swap(server.address, taken.dump, attempt("never"), a_guard())


def test_sessions_that_come_back_do_not_stop_a_swap(server: PostgresServer, taken: Taken) -> None:
    over = threading.Event()

    def pester() -> None:
        while not over.is_set():
            try:
                with server.connect() as opened:
                    while not over.is_set():
                        opened.execute("SELECT pg_sleep(0.01)")
            except (psycopg.Error, Failure):
                continue

    threads = [threading.Thread(target=pester) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        restore(server.engine, server.address, taken, Log())
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert server.execute("SELECT count(*) FROM big") == [(40000,)]


def test_the_default_database_stays_when_the_dump_lacks_it(
    server: PostgresServer, taken: Taken
) -> None:
    only = [m for m in taken.dump.members if m.database != "main"]
    others = [d for d in taken.dump.facts["databases"] if d["name"] != "main"]
    dump = Dump(
        taken.dump.version,
        only,
        {**taken.dump.facts, "databases": others},
        taken.dump.inventory,
    )
    server.engine.stage(server.address, dump, taken.fetch, attempt(), a_guard())
    server.engine.swap(server.address, dump, attempt(), a_guard())
    assert server.execute("SELECT count(*) FROM pg_class WHERE relname = 'big'") == [(0,)]
    assert server.execute("SELECT a FROM t", "second") == [(1,)]
