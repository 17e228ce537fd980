"""Old data that a restore sets aside: kept, put back, dropped, and what is in the way of that."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fixtures.postgres import Log, PostgresServer, ServerFactory, a_guard, restore, take
from holdfast.contracts.engine import Attempt
from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.postgresql.restore import old_databases


@pytest.fixture
def server(blank_server: ServerFactory) -> PostgresServer:
    made = blank_server(15)
    made.execute("CREATE TABLE t AS SELECT 1 AS a")
    made.execute("CREATE DATABASE second")
    made.execute("CREATE TABLE s AS SELECT 1 AS a", "second")
    return made


def ours(server: PostgresServer) -> list[str]:
    rows = server.execute(
        "SELECT datname::text FROM pg_database WHERE datname LIKE 'holdfast%' ORDER BY 1"
    )
    return [str(row[0]) for row in rows]


def kept(log: Log, op: str = "restore", **more: object) -> Attempt:
    return replace(log.attempt(op), keep_old=True, **more)  # type: ignore[arg-type]


def restored_with_old_data_kept(server: PostgresServer, log: Log) -> None:
    taken = take(server.engine, server.address)
    server.execute("UPDATE t SET a = 2")
    server.execute("COMMENT ON DATABASE main IS 'mine'")
    server.execute("DROP DATABASE second")
    guard = a_guard()
    server.engine.stage(server.address, taken.dump, taken.fetch, kept(log), guard)
    server.engine.swap(server.address, taken.dump, kept(log), guard)
    server.engine.swap(server.address, taken.dump, kept(log), guard)  # as often as it takes
    assert server.execute("SELECT a FROM t") == [(1,)]
    assert server.execute("SELECT a FROM s", "second") == [(1,)]
    assert any("the old data is kept: main as holdfast_old_" in line for line in log.lines)


def test_old_data_is_put_back(server: PostgresServer) -> None:
    """What came without replacing anything goes again. A kill may come at any moment."""
    log = Log()
    restored_with_old_data_kept(server, log)
    server.execute("INSERT INTO t VALUES (3)")
    real, undo = old_databases.drop_old, log.attempt("undo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            old_databases, "drop_old", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            server.engine.put_back(server.address, "restore", undo, a_guard())
    assert real is old_databases.drop_old
    assert ours(server) != []
    server.engine.put_back(server.address, "restore", undo, a_guard())
    assert server.execute("SELECT a FROM t") == [(2,)]
    described = (
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'main'"
    )
    assert server.execute(described) == [("mine",)]
    assert ours(server) == []
    assert server.execute("SELECT FROM pg_database WHERE datname = 'second'") == []
    with pytest.raises(RestoreDiffers, match="is set aside"):
        server.engine.put_back(server.address, "restore", undo, a_guard())


def test_old_data_is_dropped_later(server: PostgresServer) -> None:
    log = Log()
    restored_with_old_data_kept(server, log)
    for _ in range(2):
        server.engine.drop_aside(server.address, "restore", log.attempt("drop"), a_guard())
        assert ours(server) == []
    assert server.execute("SELECT a FROM t") == [(1,)]


def test_half_dropped_databases_are_replaced_and_named(server: PostgresServer) -> None:
    """Nothing works on one but another drop: to change it ends the session that tries."""
    taken = take(server.engine, server.address)
    half = "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{}'"
    server.execute(half.format("main"), "postgres")
    server.execute("CREATE DATABASE junk", "postgres")
    server.execute(half.format("junk"), "postgres")
    log = Log()
    restore(server.engine, server.address, taken, log)
    assert server.execute("SELECT a FROM t") == [(1,)]
    assert ours(server) == []
    assert server.execute("SELECT FROM pg_database WHERE datname = 'junk'") == []
    server.execute("CREATE DATABASE junk")
    server.execute(half.format("junk"))
    again = take(server.engine, server.address)
    assert [(w["database"], w["object"]) for w in again.dump.facts["warnings"]] == [  # type: ignore[union-attr, attr-defined]
        ("junk", "database")
    ]


def test_old_data_that_cannot_be_dropped_is_no_failure(server: PostgresServer) -> None:
    """A logical slot in use keeps its database: the restored data is in place all the same."""
    taken = take(server.engine, server.address)
    log = Log()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(old_databases, "drop", refused)
        restore(server.engine, server.address, taken, log)
    assert server.execute("SELECT a FROM t") == [(1,)]
    assert len(ours(server)) == 2
    assert sum("to be dropped by hand" in line for line in log.lines) == 2
    assert "the old data is gone" in server.engine.discard(server.address, log.attempt("restore"))
    assert ours(server) == []


def refused(*_: object) -> None:
    import psycopg  # noqa: PLC0415

    raise psycopg.errors.ObjectInUse("held")


def test_subscriptions_of_old_data_do_not_hold_it(
    server: PostgresServer, start_postgres: Callable[[int, str], PostgresServer]
) -> None:
    """They go with it, or rest while it is aside; the slot at the publisher stays."""
    publisher = start_postgres(15, "publisher")
    publisher.wipe()
    publisher.execute("ALTER SYSTEM SET wal_level = logical")
    publisher.engine.stop(publisher.place)
    publisher.start()
    publisher.execute("CREATE TABLE t (a int)")
    publisher.execute("CREATE PUBLICATION p FOR TABLE t")
    place = publisher.place
    address = f"host=127.0.0.1 port={place.port} user=admin dbname=main"
    password = place.password.reveal().replace("\\", "\\\\").replace("'", "\\'")
    with server.connect() as session:
        session.execute(
            "CREATE SUBSCRIPTION sub CONNECTION "
            + "'" + f"{address} password='{password}'".replace("'", "''") + "'"
            + " PUBLICATION p WITH (copy_data = false)"
        )  # fmt: skip
    enabled = "SELECT subname::text, subenabled FROM pg_subscription"
    slots = "SELECT slot_name::text FROM pg_replication_slots"
    try:
        taken = take(server.engine, server.address)
        for op in ("once", "twice"):
            restore(server.engine, server.address, taken, Log(), op)
            assert server.execute(enabled) == [("sub", False)]
            assert publisher.execute(slots) == [("sub",)]
        server.execute("ALTER SUBSCRIPTION sub ENABLE")
        log = Log()
        server.engine.stage(server.address, taken.dump, taken.fetch, kept(log), a_guard())
        server.engine.swap(server.address, taken.dump, kept(log), a_guard())
        assert server.execute(enabled) == [("sub", False), ("sub", False)]
        server.engine.put_back(server.address, "restore", log.attempt("undo"), a_guard())
        assert server.execute(enabled) == [("sub", True)]
    finally:
        for name in ("DISABLE", "SET (slot_name = NONE)"):
            server.execute(f"ALTER SUBSCRIPTION sub {name}")
        server.execute("DROP SUBSCRIPTION sub")
        publisher.execute("SELECT pg_drop_replication_slot('sub')")
