"""What breaks half way: children killed, servers gone, stages that fail, swaps cut short."""

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil
import psycopg
import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.big_postgres import MAJOR, filled_with_big
from fixtures.holdfast import await_that
from fixtures.postgres import PostgresServer, ServerFactory, Taken, a_guard, read_member, take
from holdfast.contracts.engine import COUNTED_IN_ARCHIVE, EVERYTHING, Attempt
from holdfast.domain.errors import (
    AddonUnavailable,
    ChildFailed,
    EvidenceMissing,
    Interrupted,
)
from holdfast.engines.postgresql.client import commands, databases
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.dump import dump as dumping
from holdfast.engines.postgresql.dump import rewritten_tables
from holdfast.kit.processes import patience
from holdfast.kit.processes.process import Command


@pytest.fixture
def server(blank_server: ServerFactory) -> PostgresServer:
    return filled_with_big(blank_server(MAJOR))


@pytest.fixture
def taken(server: PostgresServer) -> Taken:
    return take(server.engine, server.address)


def attempt(op: str = "op", tag: str = "1") -> Attempt:
    return Attempt(op, tag, lambda _: None)


def sessions(server: PostgresServer) -> list[tuple[object, ...]]:
    return server.execute(
        "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'holdfast-%'"
    )


def test_a_killed_pg_dump_is_a_failure(server: PostgresServer) -> None:
    with server.engine.dump(server.address, EVERYTHING, attempt(), a_guard()) as dump:
        source = dump.open(dump.members[1])
        assert source.read(1 << 16)
        os.killpg(source.pid, signal.SIGKILL)
        while source.read(1 << 20):
            pass
        with pytest.raises(ChildFailed, match="signal 9"):
            source.finish()
        with pytest.raises(EvidenceMissing):
            dump.inventory()


def test_a_server_that_dies_fails_the_dump(server: PostgresServer) -> None:
    try:
        with server.engine.dump(server.address, EVERYTHING, attempt(), a_guard()) as dump:
            source = dump.open(dump.members[1])
            assert source.read(1 << 16)
            parent = psutil.Process(server.engine.running(server.place))
            parent.send_signal(signal.SIGQUIT)
            parent.wait(30)
            while source.read(1 << 20):
                pass
            with pytest.raises(ChildFailed):
                source.finish()
        with pytest.raises(AddonUnavailable):
            server.engine.probe(server.address)
    finally:
        server.start()


def test_a_stop_ends_the_dump_at_once(server: PostgresServer) -> None:
    guard = a_guard()
    with server.engine.dump(server.address, EVERYTHING, attempt(), guard) as dump:
        source = dump.open(dump.members[1])
        assert source.read(1 << 16)
        guard.stop(Interrupted("aborted"))
        while source.read(1 << 20):
            pass
        with pytest.raises(Interrupted):
            source.finish()
        pid = source.pid
    assert not psutil.pid_exists(pid)
    wait_until(lambda: sessions(server) == [])


def test_a_stop_between_two_statements_ends_the_next_one(server: PostgresServer) -> None:
    """A cancel that finds nothing to cancel is forgotten by the server."""
    guard = a_guard()
    with server.connect() as holder, server.connect() as waiter:
        holder.execute("BEGIN; LOCK TABLE big")
        waiter.execute("SET statement_timeout = '20s'")
        with databases.cancelled_on_stop(waiter, guard):
            guard.stop(Interrupted("stop"))
            with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                waiter.execute("SELECT count(*) FROM big")
        assert waiter.execute("SELECT 1").fetchone() == (1,), "nothing is cancelled any more"


def test_a_second_attempt_ends_the_sessions_of_the_first(server: PostgresServer) -> None:
    with server.engine.dump(server.address, EVERYTHING, attempt("same", "1"), a_guard()) as first:
        source = first.open(first.members[1])
        assert source.read(1 << 16)
        with server.engine.dump(
            server.address, EVERYTHING, attempt("same", "2"), a_guard()
        ) as second:
            for member in second.members:
                read_member(second, member)
            assert second.inventory().tables
        while source.read(1 << 20):
            pass
        with pytest.raises(ChildFailed):
            source.finish()


def test_rows_and_archive_are_of_one_snapshot(server: PostgresServer) -> None:
    """Rows that arrive while the dump runs are in neither."""
    with server.engine.dump(server.address, EVERYTHING, attempt(), a_guard()) as dump:
        source = dump.open(dump.members[1])
        first = source.read(1 << 10)
        server.execute("INSERT INTO big SELECT 0, 'late-comer' FROM generate_series(1, 1000)")
        data = first + b"".join(iter(lambda: source.read(1 << 20), b""))
        source.finish()
        source.close()
        read_member(dump, dump.members[2])
        rows = {table.name: table.rows for table in dump.inventory().tables}
    assert rows["public.big"] == 40000
    assert b"late-comer" not in data


def slow_to_begin(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """A busy machine: pg_dump needs its time to start and to connect."""
    real = commands.pg_dump

    def slow(*given: Any, **named: Any) -> Command:
        command = real(*given, **named)
        waiting = f'sleep {seconds}; exec "$0" "$@"'
        return replace(command, argv=["sh", "-c", waiting, *command.argv])

    monkeypatch.setattr(commands, "pg_dump", slow)


def dumped_beside(
    server: PostgresServer, *statements: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Rows that were counted and rows that are in the archive, of a dump with statements of others
    between its snapshot and the locks of pg_dump."""

    def disturb() -> None:
        time.sleep(0.7)  # after the snapshot, before pg_dump
        for statement in statements:
            server.execute(statement)

    others = threading.Thread(target=disturb)
    with server.engine.dump(server.address, EVERYTHING, attempt(), a_guard()) as dump:
        member = next(m for m in dump.members if m.database == "main")
        others.start()
        source = dump.open(member)
        data = b"".join(iter(lambda: source.read(1 << 20), b""))
        facts = source.finish()
        source.close()
        others.join()
        for other in dump.members:
            if other.database not in (None, "main"):
                read_member(dump, other)
        counted = {t.name: t.rows for t in dump.inventory().tables if t.database == "main"}
    stored = dict(server.engine.recount(member, iter([data])))
    counted |= {name: stored[name] for name in facts[COUNTED_IN_ARCHIVE]}
    return counted, stored


def test_a_table_that_is_rewritten_before_the_locks_is_dumped_as_it_is_then(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_to_begin(monkeypatch, 2)
    server.execute("CREATE TABLE a AS SELECT generate_series(1, 1000) AS g")
    server.execute('CREATE TABLE "odd.name" (g int) PARTITION BY RANGE (g)')
    server.execute('CREATE TABLE part PARTITION OF "odd.name" DEFAULT')
    server.execute('INSERT INTO "odd.name" SELECT generate_series(1, 30)')
    rewriting = ("TRUNCATE a", "ALTER TABLE big ALTER COLUMN i TYPE bigint", "TRUNCATE part")
    counted, stored = dumped_beside(server, *rewriting)
    assert counted == stored
    assert (counted["public.a"], counted["public.big"], counted["public.part"]) == (0, 40000, 0)


def test_a_table_that_is_rewritten_after_it_was_dumped_is_counted_in_the_archive(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its TRUNCATE waits for pg_dump, and the count waits behind that."""
    for number in range(3):
        server.execute(f"CREATE TABLE t{number} AS SELECT generate_series(1, 1000) AS g")
    real = dumping.count

    def slow(*given: Any) -> Any:
        time.sleep(2)
        return real(*given)

    monkeypatch.setattr(dumping, "count", slow)
    counted, stored = dumped_beside(server, "TRUNCATE t0, t2")
    assert counted == stored
    assert {name: rows for name, rows in counted.items() if "t" in name} == {
        "public.t0": 1000, "public.t1": 1000, "public.t2": 1000,
    }  # fmt: skip
    assert server.execute("SELECT count(*) FROM t0") == [(0,)]


def test_tables_that_are_rewritten_again_and_again_end_the_dump(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "_MAX_TRIES", 2)
    monkeypatch.setattr(rewritten_tables, "rewritten", lambda _: [("public", "a")])
    with (
        server.engine.dump(server.address, EVERYTHING, attempt(), a_guard()) as dump,
        pytest.raises(EvidenceMissing, match=r"public\.a was truncated .* in each of 2 tries"),
    ):
        dump.open(dump.members[1])


def test_a_silent_server_that_works_is_no_stall(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.3)
    guard = a_guard()
    with server.engine.dump(server.address, EVERYTHING, attempt(), guard) as dump:
        own = dump._application
        sleeping = threading.Event()

        def work() -> None:
            with connect(server.address, application=own) as session, suppress(psycopg.Error):
                session.execute("SELECT count(*) FROM generate_series(1, 3000000000)")
            sleeping.set()

        guard.watch_for_stall(on=True)
        threading.Thread(target=work).start()
        await_that(dump.is_working)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert guard.idle_seconds() < 2.5
            time.sleep(0.1)
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = '{own}'"
        )
        assert sleeping.wait(30)
        await_that(lambda: guard.idle_seconds() > 1)
        assert not dump.is_working()
        guard.watch_for_stall(on=False)


def test_a_stage_that_fails_leaves_the_target_as_it_was(
    server: PostgresServer, taken: Taken
) -> None:
    server.execute("UPDATE big SET t = 'newer' WHERE i < 10")
    before = fingerprint(server.address)
    name = taken.dump.members[1].name
    cut = {**taken.plain, name: taken.plain[name][: len(taken.plain[name]) // 2]}
    with pytest.raises(ChildFailed, match="pg_restore"):
        server.engine.stage(
            server.address, taken.dump, replace(taken, plain=cut).fetch, attempt(), a_guard()
        )
    assert server.engine.discard(server.address, attempt()).startswith("the target is as it was")
    assert differences(before, fingerprint(server.address)) == []


def test_what_the_store_says_while_staging_reaches_the_caller(
    server: PostgresServer, taken: Taken
) -> None:
    def fetch(name: str):
        yield from list(taken.fetch(name))[:2]
        raise EvidenceMissing("the digest differs")

    with pytest.raises(EvidenceMissing, match="the digest differs"):
        server.engine.stage(server.address, taken.dump, fetch, attempt(), a_guard())
    server.engine.discard(server.address, attempt())


def test_a_stopped_stage_raises_the_reason(server: PostgresServer, taken: Taken) -> None:
    guard = a_guard()

    def fetch(name: str):
        for number, chunk in enumerate(taken.fetch(name)):
            if number == 3:
                guard.stop(Interrupted("aborted"))
            yield chunk

    with pytest.raises(Interrupted):
        server.engine.stage(server.address, taken.dump, fetch, attempt(), guard)
    assert "as it was" in server.engine.discard(server.address, attempt())


def test_a_stage_is_repeated_after_a_dead_one(server: PostgresServer, taken: Taken) -> None:
    """The second attempt removes what the first left and ends with the same result."""
    server.execute("DROP OWNED BY worker; DROP ROLE worker")
    name = taken.dump.members[1].name
    cut = replace(taken, plain={**taken.plain, name: b"x"})
    with pytest.raises(ChildFailed):
        server.engine.stage(server.address, taken.dump, cut.fetch, attempt("again", "1"), a_guard())
    second = attempt("again", "2")
    loaded = server.engine.stage(server.address, taken.dump, taken.fetch, second, a_guard())
    assert loaded == taken.dump.inventory
    server.engine.swap(server.address, taken.dump, second, a_guard())
    assert server.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'worker'") == [(True,)]


def wait_until(condition) -> None:
    pause = threading.Event()
    for _ in range(200):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail("it did not happen in ten seconds")
