"""What no dump holds is named when it is taken, and what can be restored is."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from fixtures.postgres import Log, PostgresServer, ServerFactory, Taken, free_port, restore, take
from holdfast.engines.postgresql.client import tools
from holdfast.jobs.dumps import inventories
from holdfast.kit.seal import Secret


@pytest.fixture
def server(blank_server: ServerFactory) -> Iterator[PostgresServer]:
    made = blank_server(15)
    yield made
    made.execute("ALTER ROLE ALL RESET ALL")
    made.execute("DROP TABLE IF EXISTS in_template", "template1")


def said(taken: Taken) -> set[tuple[str | None, str]]:
    listed = cast("list[dict[str, str]]", taken.dump.facts["warnings"])
    return {(entry["database"], entry["object"]) for entry in listed}


def test_everything_outside_is_kept_or_named(server: PostgresServer) -> None:
    server.execute("CREATE DATABASE closed")
    server.execute("ALTER DATABASE closed ALLOW_CONNECTIONS false")
    server.execute("CREATE DATABASE holdfast_old_prod")
    server.execute("CREATE TABLE t AS SELECT 1 AS a", "holdfast_old_prod")
    server.execute("ALTER ROLE ALL SET work_mem = '7MB'")
    server.execute("ALTER ROLE ALL SET search_path = 'a b', public")
    server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    server.execute("ALTER DATABASE postgres SET work_mem = '8MB'")
    server.execute("CREATE FOREIGN DATA WRAPPER dummy", "postgres")
    server.execute("CREATE PUBLICATION everything FOR ALL TABLES", "postgres")
    server.execute("CREATE TABLE in_template (id int)", "template1")
    server.execute("SELECT pg_create_physical_replication_slot('standby')")
    try:
        taken = take(server.engine, server.address)
    finally:
        server.execute("SELECT pg_drop_replication_slot('standby')")
    assert said(taken) == {
        ("closed", "database"),
        ("template1", "objects of template1"),
        (None, "replication slot standby"),
    }
    server.execute("ALTER ROLE ALL RESET ALL")
    for name in ("postgres", "holdfast_old_prod"):
        server.execute(f"DROP DATABASE {name}", "main")
    restore(server.engine, server.address, taken, Log(keep_others=True))
    row = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0"
    assert server.execute(row) == [(["work_mem=7MB", 'search_path="a b", public'],)]
    assert server.execute("SELECT a FROM t", "holdfast_old_prod") == [(1,)]
    assert server.execute("SELECT pubname::text FROM pg_publication", "postgres") == [
        ("everything",)
    ]
    assert server.execute("SELECT fdwname::text FROM pg_foreign_data_wrapper", "postgres") == [
        ("dummy",)
    ]
    assert server.execute("SELECT current_setting('work_mem')", "postgres") == [("8MB",)]
    public = "SELECT has_database_privilege('pg_monitor', 'postgres', 'CONNECT')"
    assert server.execute(public) == [(False,)]


@pytest.mark.parametrize(
    "statement",
    ["ALTER DATABASE postgres SET work_mem = '8MB'", "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
     "COMMENT ON DATABASE postgres IS 'mine'", "DROP SCHEMA public"],
)  # fmt: skip
def test_what_was_said_of_the_servers_own_database_is_kept(
    blank_server: ServerFactory, statement: str
) -> None:
    server = blank_server(14)
    assert [m.database for m in take(server.engine, server.address).dump.members] == [None, "main"]
    server.execute(statement, "postgres")
    taken = take(server.engine, server.address)
    assert [m.database for m in taken.dump.members] == [None, "main", "postgres"]


IN_A_DATABASE = """
CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1);
CREATE UNLOGGED TABLE cache (a int); INSERT INTO cache VALUES (1);
CREATE FUNCTION pg_catalog.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW information_schema.mine AS SELECT 1;
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host '127.0.0.1', port '1', connect_timeout '1');
CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'u', password 'p');
CREATE FOREIGN TABLE ft (id int) SERVER far;
CREATE VIEW over AS SELECT * FROM ft;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM over WITH NO DATA;
CREATE VIEW stays AS SELECT a FROM t;
"""


def test_what_pg_dump_passes_over_is_named_and_what_is_unreachable_skipped(
    server: PostgresServer,
) -> None:
    """An index that is not valid is in no archive; the view reads a server that is gone."""
    server.execute(IN_A_DATABASE)
    with pytest.raises(Exception, match="duplicated"):
        server.execute("CREATE UNIQUE INDEX CONCURRENTLY half ON t (a)")
    server.execute("UPDATE pg_class SET relispopulated = true WHERE relname = 'mv'")
    taken = take(server.engine, server.address)
    assert said(taken) == {
        ("main", "index public.half"),
        ("main", "function mine()"),
        ("main", "relation information_schema.mine"),
        ("main", "materialized view public.mv"),
    }
    log = Log()
    loaded = restore(server.engine, server.address, taken, log)
    assert [(item.kind, item.name) for item in loaded.skipped] == [
        ("", "rows of materialized view public.mv")
    ]
    assert "could not connect" in loaded.skipped[0].reason
    assert inventories.differences(taken.dump.inventory, loaded) == []
    assert server.execute("SELECT count(*) FROM stays") == [(2,)]


def test_names_that_are_no_utf8_are_bytes(server: PostgresServer) -> None:
    server.execute("CREATE DATABASE old TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    with server.connect("old") as session:
        session.execute(
            b'CREATE TABLE "gr\xfcn" (v text, "\xe4" int PRIMARY KEY);'
            b'INSERT INTO "gr\xfcn" VALUES (\'\xff\', 1); CREATE VIEW "\xfc" AS SELECT 1;'
            b'CREATE TABLE "gr\xc3\xbcn" AS SELECT 1 AS a'
        )
    taken = take(server.engine, server.address)
    names = {t.name: t.rows for t in taken.dump.inventory.tables if t.database == "old"}
    assert names == {r"public.gr\xfcn": 1, "public.grün": 1}
    member = next(m for m in taken.dump.members if m.database == "old")
    rows = server.engine.recount(member, iter([taken.plain[member.name]]))
    assert rows == names
    loaded = restore(server.engine, server.address, taken, Log())
    assert loaded == taken.dump.inventory
    with server.connect("old") as session:
        assert session.execute(b'SELECT v::bytea FROM "gr\xfcn"').fetchone() == (b"\xff",)


def test_a_standby_is_dumped_without_what_it_has_not(
    start_postgres: Callable[[int, str], PostgresServer], servers_root: Path
) -> None:
    """Rows of unlogged tables are on the primary alone."""
    primary = start_postgres(15, "primary")
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    primary.execute("CREATE UNLOGGED TABLE cache AS SELECT 1 AS a")
    place = replace(primary.place, directory=servers_root / "standby", port=free_port())
    standby = PostgresServer(primary.engine, place, servers_root / "standby.log")
    copied_with_pg_basebackup(primary, place.directory)
    try:
        standby.start()
        taken = take(standby.engine, standby.address)
        assert said(taken) == {("main", "table public.cache")}
        assert [t.name for t in taken.dump.inventory.tables] == ["public.t"]
        target = start_postgres(15, "blank")
        target.wipe()
        loaded = restore(target.engine, target.address, taken, Log())
        assert loaded.tables == taken.dump.inventory.tables
        assert target.execute("SELECT count(*) FROM cache") == [(0,)]
    finally:
        standby.engine.stop(place)


def copied_with_pg_basebackup(primary: PostgresServer, directory: Path) -> None:
    chosen = tools.choose(primary.engine.tools_dir, 15)
    place = primary.place
    subprocess.run(
        [chosen.program("pg_basebackup"), "-R", "-X", "stream", "-c", "fast", "-D", str(directory),
         "-d", f"host=127.0.0.1 port={place.port} user={place.user}"],
        env={"PGPASSWORD": place.password.reveal()}, check=True,
    )  # fmt: skip
    owner = primary.place.directory.stat()
    subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", str(directory)], check=True)


def test_rows_that_their_owner_may_not_see_are_counted_in_time(
    server: PostgresServer, start_postgres: Callable[[int, str], PostgresServer]
) -> None:
    """By who restores, when that is no superuser."""
    target = start_postgres(17, "blank")
    target.wipe()
    target.execute("CREATE ROLE dba LOGIN CREATEDB CREATEROLE PASSWORD 'pw'")
    target.execute("DROP DATABASE main", "postgres")
    server.execute("CREATE ROLE app")
    server.execute("CREATE DATABASE rows OWNER app")
    server.execute(
        "SET ROLE app; CREATE SCHEMA a; CREATE TABLE a.t AS SELECT 1 AS id;"
        "ALTER TABLE a.t ENABLE ROW LEVEL SECURITY; ALTER TABLE a.t FORCE ROW LEVEL SECURITY",
        "rows",
    )
    server.execute("DROP DATABASE main", "postgres")
    address = replace(server.address, database="rows")
    taken = take(server.engine, address)
    dba = replace(target.address, user="dba", password=Secret("pw"), database="rows")
    log = Log(keep_others=True)
    loaded = restore(target.engine, dba, taken, log)
    assert loaded == taken.dump.inventory
    assert target.execute("SELECT id FROM a.t", "rows") == [(1,)]


def test_what_a_server_refuses_of_roles_and_databases_is_named(
    server: PostgresServer, start_postgres: Callable[[int, str], PostgresServer]
) -> None:
    """A library to preload that is not there would let nobody in any more."""
    server.execute("CREATE ROLE kept LOGIN; CREATE ROLE made LOGIN")
    for subject in ("ROLE made", "ROLE kept", "DATABASE main"):
        server.execute(f"ALTER {subject} SET force_parallel_mode = off")
        if subject != "DATABASE main":
            listed = "'auto_explain', 'gone'"
            server.execute(f"ALTER {subject} SET session_preload_libraries = {listed}")
    target = start_postgres(17, "blank")
    target.wipe()
    target.execute("CREATE ROLE kept LOGIN")
    taken = take(server.engine, server.address)
    databases = cast("list[dict[str, list[dict[str, list[str]]]]]", taken.dump.facts["databases"])
    databases[0]["settings"][0]["settings"].append("session_preload_libraries=gone")
    log = Log()
    loaded = restore(target.engine, target.address, taken, log)
    assert sorted((item.database, item.name) for item in loaded.skipped) == [
        ("", "ALTER ROLE kept SET session_preload_libraries TO 'auto_expla..."),
        ("", "ALTER ROLE made SET session_preload_libraries TO 'auto_expla..."),
        ("main", """ALTER DATABASE "main" SET "session_preload_libraries" TO 'go..."""),
    ]
    assert sum("no longer knows" in line for line in log.lines) == 3
    assert target.execute("SELECT 1", "main") == [(1,)]
