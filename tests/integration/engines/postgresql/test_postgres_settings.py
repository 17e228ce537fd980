"""Whatever a server, a role or a database sets for sessions: dumps and restores are the same."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, ServerFactory, a_guard, restore, take
from holdfast.contracts.engine import EVERYTHING, Attempt
from holdfast.domain.errors import AddonRefused, PreflightRefused

HOSTILE = {
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "default_table_access_method": "gone",
    "default_tablespace": "gone",
    "exit_on_error": "on",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "xmloption": "document",
    "timezone": "Pacific/Chatham",
    "extra_float_digits": "-5",
    "role": "powerless",
    "search_path": "gone",
    "statement_timeout": "150ms",
    "lock_timeout": "50ms",
    "idle_in_transaction_session_timeout": "50ms",
    "idle_session_timeout": "50ms",
    "temp_file_limit": "64kB",
    "row_security": "on",
    "client_encoding": "LATIN1",
}
"""Those that a server takes at all levels."""
REFUSED_IN_FILES = ("role", "client_encoding", "default_table_access_method", "default_tablespace")
FILLED = """
CREATE ROLE powerless; CREATE ROLE dated LOGIN PASSWORD 'a\\b''c' VALID UNTIL '2099-02-01 10:00+00';
COMMENT ON ROLE dated IS 'ends with a \\';
CREATE TABLE v (a int[], t timestamptz, i interval, f float8, b bytea, s text, n int,
  CHECK (n = NULL OR n > 0));
INSERT INTO v VALUES (ARRAY[1, NULL], '2024-02-01 10:00+00', '-1 day 02:03:04', 1.0/3,
  '\\x00ff', 'back\\slash ''q''', 1), (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE words (a text[]); INSERT INTO words VALUES ('{NULL,"NULL"}'), ('{日本}');
CREATE TABLE "日本" (a int);
CREATE TABLE big AS SELECT i, md5(i::text) FROM generate_series(1, 30000) i;
CREATE INDEX ON big (md5);
"""


@pytest.fixture
def hostile(blank_server: ServerFactory) -> Iterator[PostgresServer]:
    server = blank_server(15)
    server.execute(FILLED)
    yield server
    with server.connect("template1") as session:
        session.execute("ALTER ROLE ALL RESET ALL")
        session.execute("ALTER ROLE admin RESET ALL")
        session.execute("ALTER SYSTEM RESET ALL")
        session.execute("SELECT pg_reload_conf()")


def set_everywhere(server: PostgresServer, subject: str) -> None:
    with server.connect() as session:
        for name, value in HOSTILE.items():
            if subject == "SYSTEM" and name in REFUSED_IN_FILES:
                continue
            quoted = value.replace("'", "''")
            listed = value if name in ("datestyle", "search_path") else f"'{quoted}'"
            session.execute(f"ALTER {subject} SET {name} TO {listed}".encode())
        if subject == "SYSTEM":
            session.execute("SELECT pg_reload_conf(), pg_sleep(0.2)")


@pytest.mark.parametrize("subject", ["SYSTEM", "ROLE admin", "DATABASE main", "ROLE ALL"])
def test_settings_change_nothing(hostile: PostgresServer, subject: str) -> None:
    before = fingerprint(hostile.address)
    set_everywhere(hostile, subject)
    taken = take(hostile.engine, hostile.address)
    log = Log()
    loaded = restore(hostile.engine, hostile.address, taken, log)
    assert loaded.skipped == ()
    assert loaded.tables == taken.dump.inventory.tables
    for reset in ("SYSTEM", "ROLE ALL", "ROLE admin", "DATABASE main"):
        with hostile.connect("template1") as session:
            session.execute(f"ALTER {reset} RESET ALL".encode())
            session.execute("SELECT pg_reload_conf(), pg_sleep(0.1)")
    assert differences(before, fingerprint(hostile.address)) == []


def test_money_is_read_as_it_was_written(blank_server: ServerFactory) -> None:
    server = blank_server(15)
    server.execute("CREATE TABLE m AS SELECT '12.34'::money AS a")
    taken = take(server.engine, server.address)
    databases = cast("list[dict[str, object]]", taken.dump.facts["databases"])
    assert [database["money"] for database in databases] == ["C.UTF-8"]
    databases[0]["money"] = "xx_XX"
    log = Log()
    restore(server.engine, server.address, taken, log)
    assert server.execute("SELECT a::numeric::text FROM m") == [("12.34",)]
    assert any("look at columns of money" in line for line in log.lines)


MISSING = {
    "its own": ("main",),
    "postgres": ("postgres",),
    "both": ("main", "postgres"),
}


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_any_database_may_be_missing(blank_server: ServerFactory, missing: tuple[str, ...]) -> None:
    """Dumps, restores and undoes need one that can be entered, and no particular one."""
    server = blank_server(15)
    for name, number in (("main", 8), ("beside", 7)):
        server.execute(f"CREATE DATABASE {name}" if name == "beside" else "SELECT 1", "postgres")
        server.execute(f"CREATE TABLE t AS SELECT {number} AS a", name)
    taken = take(server.engine, server.address)
    with server.connect("beside") as session:
        for name in missing:
            session.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    absent = server.engine.probe(server.address).facts.get("absent")
    assert absent == ("main" if "main" in missing else None)
    now = take(server.engine, server.address)
    assert {t.database for t in now.dump.inventory.tables} == {"beside", "main"} - {*missing}
    log, guard = Log(keep_others=True), a_guard()
    server.engine.preflight(server.address, taken.dump)
    server.engine.stage(server.address, taken.dump, taken.fetch, log.attempt(), guard)
    assert "as it was" in server.engine.discard(server.address, log.attempt())
    kept = replace(log.attempt(), keep_old=True)
    server.engine.stage(server.address, taken.dump, taken.fetch, kept, guard)
    server.engine.swap(server.address, taken.dump, kept, guard)
    assert server.execute("SELECT a FROM t", "main") == [(8,)]
    server.engine.put_back(server.address, "op", log.attempt("undo"), guard)
    assert server.execute("SELECT a FROM t", "beside") == [(7,)]


def test_any_open_database_is_a_door(blank_server: ServerFactory) -> None:
    """Where both usual ones are closed it is one that stays; where none stays that is said."""
    server = blank_server(15)
    server.execute("CREATE TABLE t AS SELECT 7 AS a")
    taken = take(server.engine, server.address)
    server.execute("CREATE DATABASE beside")
    with server.connect("main") as session:
        session.execute("ALTER DATABASE template1 ALLOW_CONNECTIONS false")
        session.execute("DROP DATABASE postgres")
    try:
        restore(server.engine, server.address, taken, Log(keep_others=True))
        assert server.execute("SELECT a FROM t") == [(7,)]
        server.execute("DROP DATABASE beside", "main")
        with pytest.raises(PreflightRefused, match="template1 ALLOW_CONNECTIONS true helps"):
            server.engine.preflight(server.address, taken.dump)
        attempt = Attempt("other", "1", lambda _: None)
        gone = replace(server.address, database="gone")
        with (
            pytest.raises(AddonRefused, match="has no database gone"),
            server.engine.dump(gone, EVERYTHING, attempt, a_guard()),
        ):
            pass
    finally:
        server.execute("ALTER DATABASE template1 ALLOW_CONNECTIONS true", "main")
