"""Servers whose owner was their superuser, as older versions made them, are changed and go on."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from fixtures.managed import OWNER, managed_place
from fixtures.physical import TakePhysical
from fixtures.postgres import Log, PostgresServer, Taken, a_guard, restore, take
from holdfast.contracts.local_servers import SETTLED
from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.postgresql.driver import PostgreSQL

LISTS = (
    "CREATE FUNCTION lists(text) RETURNS SETOF text LANGUAGE internal STRICT AS 'pg_ls_dir_1arg'"
)
FILL = f"""
CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id;
CREATE SCHEMA more; CREATE TABLE more.t (id serial PRIMARY KEY, at timestamptz DEFAULT now());
INSERT INTO more.t DEFAULT VALUES;
CREATE VIEW more.v AS SELECT * FROM kept;
CREATE TYPE mood AS ENUM ('well', 'ill');
CREATE FUNCTION reads() RETURNS text LANGUAGE sql SECURITY DEFINER
  AS $$ SELECT pg_read_file('PG_VERSION') $$;
{LISTS};
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE 'ALTER ROLE {OWNER} SUPERUSER'; END $$;
CREATE ROLE app LOGIN; CREATE TABLE apps (x int); ALTER TABLE apps OWNER TO app;
CREATE ROLE second SUPERUSER LOGIN PASSWORD 'second';
CREATE ROLE group_of; GRANT {OWNER} TO group_of;
GRANT pg_execute_server_program TO app;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO app;
ALTER ROLE app SET session_preload_libraries = 'auto_explain';
ALTER ROLE app SET work_mem = '5MB';
SELECT lo_from_bytea(4242, 'large');
"""


@pytest.fixture
def old(postgres_engine: PostgreSQL, servers_root: Path) -> Iterator[PostgresServer]:
    """Running, with what an owner who was the superuser could do."""
    home = servers_root / f"old-{time.monotonic_ns()}"
    home.mkdir(mode=0o711)
    place = replace(managed_place(home / "data"), admin=None)
    server = PostgresServer(postgres_engine, place, home / "log")
    postgres_engine.initialise(place)
    server.start()
    server.execute(FILL)
    for statement in (
        "CREATE DATABASE other",
        "ALTER SYSTEM SET archive_command = 'touch /tmp/holdfast-archived'",
        "ALTER SYSTEM SET work_mem = '7MB'",
        "CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION watch()",
    ):
        server.execute(statement)
    yield server
    postgres_engine.stop(place)


def settled(old: PostgresServer) -> PostgresServer:
    """The same directory, with an administrator of ours."""
    place = replace(managed_place(old.place.directory), port=old.place.port)
    old.engine.stop(old.place)
    old.engine.settle(place, a_guard())
    server = PostgresServer(old.engine, place, old.log)
    server.start()
    return server


def owner_of(server: PostgresServer) -> PostgresServer:
    return PostgresServer(server.engine, replace(server.place, admin=None), server.log)


def require_confined(server: PostgresServer) -> None:
    owner = owner_of(server)
    strong = "SELECT rolname::text FROM pg_roles WHERE rolsuper AND rolname NOT LIKE 'pg\\_%'"
    assert server.execute(strong) == [("holdfast_internal",)]
    for statement in (
        "SELECT reads()",
        "SELECT lists('/')",
        "COPY kept TO PROGRAM 'true'",
        "SET ROLE app; COPY kept TO PROGRAM 'true'",
        "SET ROLE app; SELECT pg_read_file('PG_VERSION')",
        "SELECT rolpassword FROM pg_authid",
        "ALTER FUNCTION lists(text) OWNER TO CURRENT_USER",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(statement)
    owner.execute("CREATE TABLE fires_nothing (x int); DROP TABLE fires_nothing")
    assert server.execute(strong) == [("holdfast_internal",)]
    assert owner.execute("SELECT count(*) FROM kept") == [(1000,)]
    owner.execute("INSERT INTO more.t DEFAULT VALUES; ALTER TABLE more.t ADD COLUMN y int")
    owner.execute("ALTER TYPE mood ADD VALUE 'new'; DROP VIEW more.v; ALTER TABLE apps ADD y int")
    owner.execute("SELECT lo_unlink(4242)")
    assert owner.execute(f"SELECT pg_has_role('group_of', '{OWNER}', 'MEMBER')") == [(True,)]


def require_restores(server: PostgresServer, dump: Taken) -> None:
    log = Log()
    restore(server.engine, server.address, dump, log)
    owner = owner_of(server)
    assert owner.execute("SELECT count(*) FROM kept, more.v LIMIT 1") == [(1_000_000,)]
    owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname IN ('kept', 't')"
    assert owner.execute(owners) == [(OWNER,)]
    assert any("event triggers" in line for line in log.lines)


def test_an_old_server_is_changed_and_its_dump_and_snapshot_restore(
    old: PostgresServer, take_physical: TakePhysical
) -> None:
    copy = take_physical(old)
    old.execute("DROP FUNCTION lists(text)")  # whoever loads may not make it, see the manual
    dump = take(old.engine, old.address)
    old.execute(LISTS)
    server = settled(old)
    assert (server.place.directory / SETTLED).exists()
    require_confined(server)
    assert server.execute("SHOW archive_command") == [("(disabled)",)]
    assert server.execute("SHOW work_mem") == [("7MB",)]
    assert server.execute(
        "SELECT setconfig FROM pg_db_role_setting s JOIN pg_roles r"
        " ON r.oid = s.setrole WHERE rolname = 'app'"
    ) == [(["work_mem=5MB"],)]
    require_restores(server, dump)
    copy.origin = server
    copy.rehearse()
    with copy.started() as started:
        require_confined(started)


def test_to_be_interrupted_does_no_harm(
    old: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle, at any statement: the next start goes on."""
    place = replace(managed_place(old.place.directory), port=old.place.port)
    old.engine.stop(old.place)
    for name in ("rename_superuser", "_weaken_others", "_make_reader", "hand_over_databases"):
        with monkeypatch.context() as context:
            context.setattr(f"holdfast.engines.postgresql.hosting.administrator.{name}", stopped)
            with pytest.raises(RuntimeError, match="stopped"):
                old.engine.settle(place, a_guard())
        assert not (place.directory / SETTLED).exists()
    require_confined(settled(old))


def stopped(*_: object) -> None:
    raise RuntimeError("stopped")


def test_types_whose_code_is_no_extensions_are_refused(old: PostgresServer) -> None:
    """Nothing guards the input function of a type, so such a server does not run any more."""
    old.execute("CREATE TYPE evil")
    code = "LANGUAGE internal STRICT IMMUTABLE AS"
    old.execute(f"CREATE FUNCTION evil_in(cstring) RETURNS evil {code} 'textin'")
    old.execute(f"CREATE FUNCTION evil_out(evil) RETURNS cstring {code} 'textout'")
    old.execute("CREATE TYPE evil (INPUT = evil_in, OUTPUT = evil_out)")
    place = replace(managed_place(old.place.directory), port=old.place.port)
    old.engine.stop(old.place)
    with pytest.raises(RestoreDiffers, match="evil"):
        old.engine.settle(place, a_guard())
