"""The ways a restore goes: in turns, its data in one session or in several, or all in one go."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, ServerFactory, Taken, a_guard, restore, take
from fixtures.rich_data import fill
from holdfast.domain.errors import ChildFailed, EvidenceMissing, Interrupted
from holdfast.engines import staging_names
from holdfast.engines.postgresql.client import databases
from holdfast.engines.postgresql.load import pg_restore
from holdfast.engines.postgresql.restore.staging import SEVERAL_READERS_BYTES
from holdfast.kit.backoff import pauses
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

MAJOR = 17
TABLES = 4
MANY = "".join(
    f"CREATE TABLE t{n} (i int PRIMARY KEY, t text);"
    f"INSERT INTO t{n} SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 9000) i;"
    for n in range(TABLES)
)
SPOKEN_OF = """
DO $$ DECLARE o oid; BEGIN
  SELECT min(oid) INTO o FROM pg_largeobject_metadata;
  EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO readers', o);
  EXECUTE format('COMMENT ON LARGE OBJECT %s IS ''one of five''', o);
END $$;
"""
"""What is said of a large object lies elsewhere in an archive of 17 than before."""

UNKNOWN_TO_THE_PLANNER = (
    "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'm', 'p') AND reltuples < 0"
)


@pytest.fixture(autouse=True)
def processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2 * TABLES)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of every pg_restore that loads something."""
    seen: list[list[str]] = []
    real = pg_restore.feed
    monkeypatch.setattr(
        pg_restore, "feed", lambda command, *more: (seen.append(command.argv), real(command, *more))
    )
    return seen


@pytest.fixture
def server(blank_server: ServerFactory) -> PostgresServer:
    made = blank_server(MAJOR)
    made.execute(MANY)
    return made


@pytest.fixture
def taken(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Taken:
    monkeypatch.setattr(pg_restore, "_HEAD_BYTES", (64, 1 << 16))
    return near(take(server.engine, server.address))


def near(taken: Taken) -> Taken:
    return replace(taken, dump=replace(taken.dump, near=True, size=SEVERAL_READERS_BYTES))


def readers(used: list[list[str]]) -> int:
    """How many read a stream for a part of what is in it."""
    return sum(argv[-1].startswith("--use-list=") for argv in used)


@pytest.mark.parametrize("major", [15, 17])
@pytest.mark.parametrize("way", ["several read", "one reads", "one by one"])
def test_every_way_brings_everything_back(
    blank_server: ServerFactory,
    monkeypatch: pytest.MonkeyPatch,
    used: list[list[str]],
    way: str,
    major: int,
) -> None:
    server = blank_server(major)
    fill(server)
    server.execute(SPOKEN_OF)
    if way == "one by one":
        monkeypatch.setattr(pg_restore, "_HEAD_BYTES", (64,))
    before = fingerprint(server.address)
    taken = take(server.engine, server.address)
    log = Log()
    restore(server.engine, server.address, near(taken) if way == "several read" else taken, log)
    assert differences(before, fingerprint(server.address)) == []
    assert server.execute(UNKNOWN_TO_THE_PLANNER) == []
    count = len(taken.dump.members) - 1
    expected = {"several read": count + 3, "one reads": count, "one by one": 0}
    assert readers(used) == expected[way]
    assert any("--jobs=8" in argv for argv in used) == (way != "one by one")


def test_a_check_that_looks_elsewhere_keeps_the_order(
    server: PostgresServer, used: list[list[str]]
) -> None:
    """It works in the order of the dump and, with luck, in others."""
    server.execute(
        "CREATE FUNCTION known(n int) RETURNS bool LANGUAGE sql AS"
        " 'SELECT EXISTS (SELECT FROM public.t0 WHERE i = n)';"
        "CREATE TABLE u (n int CHECK (known(n))); INSERT INTO u VALUES (9000)"
    )
    taken = near(take(server.engine, server.address))
    restore(server.engine, server.address, taken, Log())
    assert server.execute("SELECT n FROM u") == [(9000,)]
    assert readers(used) == 1


def test_only_catalogues_that_have_grown_are_analysed(server: PostgresServer) -> None:
    columns = ", ".join(f"c{n} int" for n in range(400))
    server.execute("".join(f"CREATE TABLE wide{n} ({columns});" for n in range(5)))
    taken = take(server.engine, server.address)
    restore(server.engine, server.address, taken, Log())
    analysed = server.execute(
        "SELECT relname::text FROM pg_stat_sys_tables WHERE last_analyze IS NOT NULL"
    )
    assert ("pg_attribute",) in analysed
    assert ("pg_proc",) not in analysed
    assert server.execute(UNKNOWN_TO_THE_PLANNER) == []


def test_an_owner_who_may_not_write_gets_his_rows(server: PostgresServer) -> None:
    """Grants come after the data."""
    server.execute("CREATE ROLE app LOGIN PASSWORD 'pw' CREATEDB CREATEROLE")
    server.execute("CREATE DATABASE apps OWNER app")
    server.execute("DROP DATABASE main", "postgres")
    app = replace(server.address, user="app", password=Secret("pw"), database="apps")
    with server.connect("apps") as opened:
        opened.execute("SET ROLE app; CREATE TABLE public.closed AS SELECT 7 AS a")
        opened.execute("CREATE TABLE public.open (); REVOKE INSERT ON public.closed FROM app")
    taken = near(take(server.engine, app))
    server.execute("UPDATE public.closed SET a = 8", "apps")
    restore(server.engine, app, taken, Log())
    assert server.execute("SELECT a FROM public.closed", "apps") == [(7,)]
    assert server.execute(
        "SELECT has_table_privilege('app', 'public.closed', 'INSERT')", "apps"
    ) == [(False,)]


@dataclass
class Interfering:
    """Hands out a dump, and does something at each piece of its data that a session takes."""

    taken: Taken
    act: Callable[[int], object]

    def fetch(self, name: str) -> Iterator[bytes]:
        for number, chunk in enumerate(self.taken.fetch(name)):
            if number > 0 and name != "globals.sql":
                self.act(number)
            yield chunk

    def stage(self, server: PostgresServer, guard: Guard) -> None:
        server.engine.stage(server.address, self.taken.dump, self.fetch, Log().attempt(), guard)


def test_a_stop_in_the_middle_leaves_nothing(server: PostgresServer, taken: Taken) -> None:
    guard, all_of_them = a_guard(), threading.Barrier(TABLES, timeout=30)

    def stop(number: int) -> None:
        if number == 3:
            all_of_them.wait()
            guard.stop(Interrupted("aborted"))

    with pytest.raises(Interrupted, match="aborted"):
        Interfering(taken, stop).stage(server, guard)
    require_nothing_left(server)


def test_a_session_that_is_ended_ends_the_others(server: PostgresServer, taken: Taken) -> None:
    ended: list[object] = []

    def end_one(_: int) -> None:
        if not ended:
            ended.extend(
                server.execute(
                    "SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'holdfast-%' AND query LIKE 'COPY %'"
                    " HAVING count(*) > 1"
                )
            )

    with pytest.raises(ChildFailed, match=r"closed the connection|terminating connection"):
        Interfering(taken, end_one).stage(server, a_guard())
    require_nothing_left(server)


def test_what_shows_at_the_end_of_an_archive_is_heard(server: PostgresServer, taken: Taken) -> None:
    """There it is known whether all is as it was stored; only one session comes so far."""

    def fetch(name: str) -> Iterator[bytes]:
        yield from taken.fetch(name)
        if name != "globals.sql":
            raise EvidenceMissing("the digest differs")

    with pytest.raises(EvidenceMissing, match="the digest differs"):
        server.engine.stage(server.address, taken.dump, fetch, Log().attempt(), a_guard())
    require_nothing_left(server)


def require_nothing_left(server: PostgresServer) -> None:
    running = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'holdfast-%'"
    for pause in pauses(0.05):
        if not server.execute(running):
            break
        time.sleep(pause)
    assert "as it was" in server.engine.discard(server.address, Log().attempt())
    with server.connect("postgres") as opened:
        assert [name for each in staging_names.OURS for name in databases.names(opened, each)] == []
