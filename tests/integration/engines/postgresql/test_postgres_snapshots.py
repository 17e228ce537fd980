"""Physical copies of PostgreSQL: every major, odd servers, what is missing, and what is broken."""

import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.physical import COUNT, FILL, TakePhysical, restarted
from fixtures.postgres import PostgresServer, ServerFactory, a_guard, free_port
from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.errors import (
    AddonUnavailable,
    NotSupported,
)
from holdfast.engines.postgresql.driver import PostgreSQL
from holdfast.engines.postgresql.physical import snapshot
from holdfast.kit.processes.process import Command, require_success, run
from holdfast.kit.seal import Secret


@pytest.mark.parametrize(
    "major",
    [14, 18, *(pytest.param(major, marks=pytest.mark.slow) for major in (15, 16, 17))],
)
def test_every_major_gives_a_copy_that_starts(
    blank_server: ServerFactory, take_physical: TakePhysical, servers_root: Path, major: int
) -> None:
    """Also over the older protocol, one stream per tablespace."""
    server = blank_server(major)
    spaces = [make_tablespace(server, servers_root, name) for name in ("one", "two")]
    server.execute(FILL)
    server.execute("CREATE TABLE far TABLESPACE one AS SELECT * FROM kept")
    server.execute("CREATE TABLE farther TABLESPACE two AS SELECT * FROM kept")
    server.execute("CREATE UNLOGGED TABLE passing AS SELECT * FROM kept")
    server.execute("CREATE DATABASE second LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    server.execute(FILL, "second")
    try:
        copy = take_physical(server)
        assert copy.facts["major"] == major
        assert sorted(copy.facts["tablespaces"].values()) == spaces
        report = copy.rehearse()
        assert report["databases"]["second"]["indexes"] > 50  # type: ignore[index]
        before = server.execute(COUNT)
        with copy.started() as started:
            assert started.execute(COUNT) == before
            assert started.execute(COUNT.replace("kept", "far")) == before
            assert started.execute(COUNT.replace("kept", "farther")) == before
            assert started.execute(COUNT, "second") == before
            assert started.execute("SELECT count(*) FROM passing") == [(0,)]
            links = started.execute(
                "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383"
            )
            assert all(str(link).startswith(str(copy.tree)) for (link,) in links)
            started.execute("INSERT INTO far VALUES (0, 'written')")
    finally:
        drop_tablespaces(server)


def test_a_server_of_unknown_byte_order_gives_sha256(
    filled_postgres: PostgresServer, take_physical: TakePhysical, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "algorithm", lambda _: "SHA256")
    facts = take_physical(filled_postgres).facts
    assert facts["proven"] == {
        "server's manifest": f"{facts['files']} files have its size and SHA256"
    }


def make_tablespace(server: PostgresServer, root: Path, name: str) -> str:
    place = root / f"space-{name}-{server.place.version}-{time.monotonic_ns()}"
    place.mkdir()
    shutil.chown(place, server.place.directory.owner())
    server.execute(f"CREATE TABLESPACE {name} LOCATION '{place}'")
    return str(place)


def drop_tablespaces(server: PostgresServer) -> None:
    server.wipe()
    for name in ("one", "two"):
        server.execute(f"DROP TABLESPACE IF EXISTS {name}")


def test_hostile_settings_in_the_data_directory_harm_nobody(
    filled_postgres: PostgresServer, take_physical: TakePhysical, servers_root: Path
) -> None:
    filled_postgres.execute("ALTER SYSTEM SET archive_mode = on")
    witness = servers_root / "archived"
    filled_postgres.execute(f"ALTER SYSTEM SET archive_command = 'touch {witness}-%f'")
    filled_postgres.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    filled_postgres.execute(
        "CREATE SUBSCRIPTION leech CONNECTION 'host=192.0.2.1 dbname=x' PUBLICATION p"
        " WITH (connect = false, slot_name = 'leech')"
    )
    filled_postgres.execute("ALTER SUBSCRIPTION leech ENABLE")
    filled_postgres.execute(
        "CREATE FUNCTION stop_it() RETURNS event_trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE 'no changes here'; END $$"
    )
    filled_postgres.execute(
        "CREATE EVENT TRIGGER stop_it ON ddl_command_start EXECUTE FUNCTION stop_it()"
    )
    try:
        copy = take_physical(filled_postgres)
    finally:
        filled_postgres.execute("DROP EVENT TRIGGER stop_it")
        filled_postgres.execute("ALTER SUBSCRIPTION leech DISABLE")
        filled_postgres.execute("ALTER SUBSCRIPTION leech SET (slot_name = NONE)")
        filled_postgres.execute("DROP SUBSCRIPTION leech")
    with (copy.tree / "data" / "postgresql.auto.conf").open("a") as conf:
        conf.write(
            "shared_preload_libraries = 'no_such_library'\nport = 1\n"
            "shared_buffers = '900GB'\nrestore_command = 'false'\nhba_file = '/nowhere'\n"
        )
    (copy.tree / "data" / "standby.signal").touch()
    seen = sorted(witness.parent.glob(f"{witness.name}-*"))
    copy.rehearse()
    with copy.started() as started:
        assert started.execute(COUNT) == filled_postgres.execute(COUNT)
        assert started.execute("SELECT subenabled FROM pg_subscription") == [(False,)]
        assert started.execute("SHOW archive_mode") == [("off",)]
    assert sorted(witness.parent.glob(f"{witness.name}-*")) == seen


def test_roles_of_a_foreign_copy_have_no_power(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    filled_postgres.execute("CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'known to its maker'")
    filled_postgres.execute("CREATE ROLE helper LOGIN CREATEROLE REPLICATION")
    filled_postgres.execute("GRANT pg_execute_server_program TO helper WITH ADMIN OPTION")
    filled_postgres.execute("CREATE TABLE theirs (a int)")
    filled_postgres.execute("ALTER TABLE theirs OWNER TO boss")
    try:
        copy = take_physical(filled_postgres)
    finally:
        filled_postgres.execute("DROP TABLE theirs")
        filled_postgres.execute("DROP ROLE helper")
        filled_postgres.execute("DROP ROLE boss")
    copy.rehearse(foreign=True)
    with copy.started() as started:
        powers = (
            "SELECT rolname::text FROM pg_authid WHERE rolname NOT LIKE 'pg\\_%'"
            " AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolreplication"
            " OR rolpassword IS NOT NULL) ORDER BY 1"
        )
        assert started.execute(powers) == [(started.place.user,)]
        members = "SELECT count(*) FROM pg_auth_members WHERE member = 'helper'::regrole"
        assert started.execute(members) == [(0,)]
        owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'theirs'"
        assert started.execute(owner) == [("boss",)]


def test_the_addons_own_user_gets_in_whatever_the_copy_says(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    copy = take_physical(filled_postgres)
    elsewhere = replace(filled_postgres.place, user="somebody", password=Secret("an'other"))
    copy.arrange()
    filled_postgres.engine.rehearse(copy.tree, elsewhere, copy.facts, a_guard())
    with copy.started() as started:
        theirs = replace(started.place, user="somebody", password=Secret("an'other"))
        assert PostgresServer(filled_postgres.engine, theirs, started.log).execute(COUNT)


def test_a_server_with_large_wal_segments_and_prepared_transactions(
    postgres_engine: PostgreSQL, take_physical: TakePhysical, servers_root: Path
) -> None:
    """Neither starts under the settings of a usual server."""
    place = replace(blank_place(servers_root / f"segments-{time.monotonic_ns()}"), port=free_port())
    server = PostgresServer(postgres_engine, place, place.directory.with_suffix(".log"))
    postgres_engine.initialise(place)
    resize_segments(server, 64)
    conf = place.directory / "postgresql.conf"
    usual = conf.read_text()
    conf.write_text(
        f"{usual}\nmin_wal_size = 256MB\nmax_wal_size = 1GB\nmax_prepared_transactions = 7\n"
    )
    server.start()
    try:
        server.execute(FILL)
        with server.connect() as session:
            session.execute("BEGIN")
            session.execute("INSERT INTO kept VALUES (-1, 'prepared')")
            session.execute("PREPARE TRANSACTION 'half'")
        copy = take_physical(server)
        conf.write_text(usual)
        copy.rehearse()
        with copy.started() as started:
            assert started.execute("SHOW wal_segment_size") == [("64MB",)]
            started.execute("COMMIT PREPARED 'half'")
            assert started.execute("SELECT m FROM kept WHERE id = -1") == [("prepared",)]
    finally:
        postgres_engine.stop(place)


def blank_place(directory: Path) -> LocalServer:
    return LocalServer(directory, 0, "15", "admin", Secret("p"), "main")


def resize_segments(server: PostgresServer, megabytes: int) -> None:
    tools = next(each for each in server.engine.tools() if each.major == 15)
    argv = [tools.program("pg_resetwal"), f"--wal-segsize={megabytes}", str(server.place.directory)]
    require_success(run(Command(argv, cwd="/", user=server.place.directory.owner())))


def test_a_standby_gives_a_copy_too(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    """Its own WAL makes the copy consistent; the copy is no standby any more."""
    standby = take_physical(filled_postgres)
    standby.arrange()
    (standby.tree / "data" / "standby.signal").touch()
    with standby.started() as server:
        assert server.execute("SELECT pg_is_in_recovery()") == [(True,)]
        copy = take_physical(server)
        copy.rehearse()
        with copy.started() as started:
            assert started.execute("SELECT pg_is_in_recovery()") == [(False,)]
            assert started.execute(COUNT) == filled_postgres.execute(COUNT)


class Writer(threading.Thread):
    """Moves money between accounts, and notes every transaction the server acknowledged."""

    ACCOUNTS, TOTAL = 50, 50_000

    def __init__(self, server: PostgresServer) -> None:
        super().__init__()
        self._server, self._over = server, threading.Event()
        self.acked = 0
        server.execute(
            "CREATE TABLE account AS SELECT g AS id, 1000 AS money"
            f" FROM generate_series(1, {self.ACCOUNTS}) g; CREATE TABLE marker (n int PRIMARY KEY)"
        )

    def run(self) -> None:
        with self._server.connect() as session:
            while not self._over.is_set():
                n = self.acked + 1
                with session.transaction():
                    session.execute(
                        "UPDATE account SET money = money + CASE id WHEN %s THEN 7 ELSE -7 END"
                        " WHERE id IN (%s, %s)",
                        [n % 50 + 1, n % 50 + 1, (n + 1) % 50 + 1],
                    )
                    session.execute("SELECT pg_sleep(0.0005)")
                    session.execute("INSERT INTO marker VALUES (%s)", [n])
                self.acked = n

    def stop(self) -> None:
        self._over.set()
        self.join(30)


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_a_copy_under_load_holds_every_acknowledged_transaction(
    filled_postgres: PostgresServer, take_physical: TakePhysical, rounds: int
) -> None:
    """All from before the copy began, a prefix of those from meanwhile, none by half."""
    writer = Writer(filled_postgres)
    writer.start()
    try:
        for _ in range(rounds):
            before = writer.acked
            copy = take_physical(filled_postgres, rate=60_000)
            meanwhile = writer.acked
            assert meanwhile > before + 20
            copy.rehearse()
            with copy.started() as started:
                ((count, last),) = started.execute("SELECT count(*), max(n) FROM marker")
                assert count == last, "a transaction is missing in the middle"
                assert before <= int(str(last)) <= meanwhile + 1
                assert started.execute("SELECT sum(money) FROM account") == [(writer.TOTAL,)]
    finally:
        writer.stop()


# What is missing


def test_what_keeps_a_server_from_being_copied_is_named(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    filled_postgres.execute("ALTER SYSTEM SET max_wal_senders = 0")
    filled_postgres.execute("ALTER SYSTEM SET wal_level = 'minimal'")
    restarted(filled_postgres)
    with pytest.raises(NotSupported, match="max_wal_senders is 0"):
        take_physical(filled_postgres)
    filled_postgres.execute("ALTER SYSTEM RESET wal_level")
    filled_postgres.execute("ALTER SYSTEM SET max_wal_senders = 1")
    restarted(filled_postgres)
    with pytest.raises(AddonUnavailable, match="max_wal_senders"):
        take_physical(filled_postgres)  # one to copy and one to keep the WAL: two are needed
    filled_postgres.execute("ALTER SYSTEM SET max_wal_senders = 4")
    filled_postgres.execute("ALTER SYSTEM SET max_replication_slots = 0")
    restarted(filled_postgres)
    assert (
        take_physical(filled_postgres).facts["files"] > 500
    )  # without a slot it is said, and goes on


def test_a_server_without_a_line_for_replication_says_so(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    with (
        let_in(filled_postgres, "host all all 127.0.0.1/32 scram-sha-256"),
        pytest.raises(NotSupported, match=r"pg_hba\.conf"),
    ):
        take_physical(filled_postgres)


@pytest.mark.parametrize("rule", ["reject", "peer"])
def test_a_server_whose_socket_is_for_others_is_copied_over_the_network(
    filled_postgres: PostgresServer, take_physical: TakePhysical, rule: str
) -> None:
    rules = (
        "local all all scram-sha-256",
        f"local replication all {rule}",
        "host all,replication all 127.0.0.1/32 scram-sha-256",
    )
    with let_in(filled_postgres, *rules):
        assert take_physical(filled_postgres).facts["files"] > 500


@contextmanager
def let_in(server: PostgresServer, *rules: str) -> Generator[None]:
    hba = server.place.directory / "pg_hba.conf"
    usual = hba.read_text()
    hba.write_text("".join(f"{rule}\n" for rule in rules))
    try:
        server.execute("SELECT pg_reload_conf()")
        yield
    finally:
        hba.write_text(usual)
        server.execute("SELECT pg_reload_conf()")


# What is stopped


def test_a_rate_slows_the_copy(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    begun = time.monotonic()
    copy = take_physical(filled_postgres, rate=20_000)
    least = copy.facts["bytes"] / (20_000 << 10)
    assert time.monotonic() - begun > 0.7 * least > 1


# What is broken


def test_a_copy_needs_no_database_by_name(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    """What it does not bring back is in its warnings."""
    filled_postgres.execute("CREATE DATABASE beside")
    filled_postgres.execute("CREATE UNLOGGED TABLE passing (a int)")
    filled_postgres.execute("DROP DATABASE postgres")
    copy = take_physical(filled_postgres)
    warned = [(w["database"], w["object"], w["text"]) for w in copy.facts["warnings"]]
    assert warned == [("main", "table public.passing", "it is unlogged, and comes back empty")]
    assert set(copy.rehearse()["databases"]) == {"beside", "main"}  # type: ignore[call-overload]
    with copy.started() as started:
        assert started.execute(COUNT) == filled_postgres.execute(COUNT)
