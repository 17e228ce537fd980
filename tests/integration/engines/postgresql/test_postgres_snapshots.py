"""Physical copies of PostgreSQL: every major, odd servers, what is missing, and what is broken."""

import shutil
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.physical import TakePhysical
from fixtures.postgres import (
    Log,
    PostgresServer,
    ServerFactory,
    a_guard,
    free_port,
)
from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.errors import (
    AddonUnavailable,
    EvidenceMissing,
    Failure,
    Interrupted,
    NotSupported,
    RestoreDiffers,
)
from holdfast.engines.postgresql.driver import PostgreSQL
from holdfast.engines.postgresql.physical import snapshot
from holdfast.kit.processes.process import Command, require_success, run
from holdfast.kit.seal import Secret

FILL = (
    "CREATE TABLE kept AS SELECT g AS id, md5(g::text) AS m FROM generate_series(1, 20000) g;"
    " CREATE INDEX kept_m ON kept (m)"
)
COUNT = "SELECT count(*), sum(id), max(m) FROM kept"


@pytest.fixture
def blank(blank_server: ServerFactory) -> Iterator[PostgresServer]:
    """Its settings are put back."""
    made = blank_server(15)
    made.execute(FILL)
    yield made
    made.execute("ALTER SYSTEM RESET ALL")
    restarted(made)
    made.wipe()


def restarted(server: PostgresServer) -> None:
    server.engine.stop(server.place)
    server.start()


@pytest.mark.parametrize(
    "major",
    [14, 18, *(pytest.param(major, marks=pytest.mark.slow) for major in (15, 16, 17))],
)
def test_every_major_gives_a_copy_that_starts(
    blank_server: ServerFactory, take_physical: TakePhysical, server_room: Path, major: int
) -> None:
    """Also over the older protocol, one stream per tablespace."""
    server = blank_server(major)
    spaces = [make_tablespace(server, server_room, name) for name in ("one", "two")]
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
    blank: PostgresServer, take_physical: TakePhysical, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "algorithm", lambda _: "SHA256")
    facts = take_physical(blank).facts
    assert facts["proven"] == {
        "server's manifest": f"{facts['files']} files have its size and SHA256"
    }


def make_tablespace(server: PostgresServer, room: Path, name: str) -> str:
    place = room / f"space-{name}-{server.place.version}-{time.monotonic_ns()}"
    place.mkdir()
    shutil.chown(place, server.place.directory.owner())
    server.execute(f"CREATE TABLESPACE {name} LOCATION '{place}'")
    return str(place)


def drop_tablespaces(server: PostgresServer) -> None:
    server.wipe()
    for name in ("one", "two"):
        server.execute(f"DROP TABLESPACE IF EXISTS {name}")


def test_hostile_settings_in_the_data_directory_harm_nobody(
    blank: PostgresServer, take_physical: TakePhysical, server_room: Path
) -> None:
    blank.execute("ALTER SYSTEM SET archive_mode = on")
    witness = server_room / "archived"
    blank.execute(f"ALTER SYSTEM SET archive_command = 'touch {witness}-%f'")
    blank.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    blank.execute(
        "CREATE SUBSCRIPTION leech CONNECTION 'host=192.0.2.1 dbname=x' PUBLICATION p"
        " WITH (connect = false, slot_name = 'leech')"
    )
    blank.execute("ALTER SUBSCRIPTION leech ENABLE")
    blank.execute(
        "CREATE FUNCTION stop_it() RETURNS event_trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE 'no changes here'; END $$"
    )
    blank.execute("CREATE EVENT TRIGGER stop_it ON ddl_command_start EXECUTE FUNCTION stop_it()")
    try:
        copy = take_physical(blank)
    finally:
        blank.execute("DROP EVENT TRIGGER stop_it")
        blank.execute("ALTER SUBSCRIPTION leech DISABLE")
        blank.execute("ALTER SUBSCRIPTION leech SET (slot_name = NONE)")
        blank.execute("DROP SUBSCRIPTION leech")
    with (copy.tree / "data" / "postgresql.auto.conf").open("a") as conf:
        conf.write(
            "shared_preload_libraries = 'no_such_library'\nport = 1\n"
            "shared_buffers = '900GB'\nrestore_command = 'false'\nhba_file = '/nowhere'\n"
        )
    (copy.tree / "data" / "standby.signal").touch()
    seen = sorted(witness.parent.glob(f"{witness.name}-*"))
    copy.rehearse()
    with copy.started() as started:
        assert started.execute(COUNT) == blank.execute(COUNT)
        assert started.execute("SELECT subenabled FROM pg_subscription") == [(False,)]
        assert started.execute("SHOW archive_mode") == [("off",)]
    assert sorted(witness.parent.glob(f"{witness.name}-*")) == seen


def test_roles_of_a_foreign_copy_have_no_power(
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    blank.execute("CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'known to its maker'")
    blank.execute("CREATE ROLE helper LOGIN CREATEROLE REPLICATION")
    blank.execute("GRANT pg_execute_server_program TO helper WITH ADMIN OPTION")
    blank.execute("CREATE TABLE theirs (a int)")
    blank.execute("ALTER TABLE theirs OWNER TO boss")
    try:
        copy = take_physical(blank)
    finally:
        blank.execute("DROP TABLE theirs")
        blank.execute("DROP ROLE helper")
        blank.execute("DROP ROLE boss")
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
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    copy = take_physical(blank)
    elsewhere = replace(blank.place, user="somebody", password=Secret("an'other"))
    copy.arrange()
    blank.engine.rehearse(copy.tree, elsewhere, copy.facts, a_guard())
    with copy.started() as started:
        theirs = replace(started.place, user="somebody", password=Secret("an'other"))
        assert PostgresServer(blank.engine, theirs, started.log).execute(COUNT)


def test_a_server_with_large_wal_segments_and_prepared_transactions(
    postgres_engine: PostgreSQL, take_physical: TakePhysical, server_room: Path
) -> None:
    """Neither starts under the settings of a usual server."""
    place = replace(blank_place(server_room / f"segments-{time.monotonic_ns()}"), port=free_port())
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


def test_a_standby_gives_a_copy_too(blank: PostgresServer, take_physical: TakePhysical) -> None:
    """Its own WAL makes the copy consistent; the copy is no standby any more."""
    standby = take_physical(blank)
    standby.arrange()
    (standby.tree / "data" / "standby.signal").touch()
    with standby.started() as server:
        assert server.execute("SELECT pg_is_in_recovery()") == [(True,)]
        copy = take_physical(server)
        copy.rehearse()
        with copy.started() as started:
            assert started.execute("SELECT pg_is_in_recovery()") == [(False,)]
            assert started.execute(COUNT) == blank.execute(COUNT)


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
    blank: PostgresServer, take_physical: TakePhysical, rounds: int
) -> None:
    """All from before the copy began, a prefix of those from meanwhile, none by half."""
    writer = Writer(blank)
    writer.start()
    try:
        for _ in range(rounds):
            before = writer.acked
            copy = take_physical(blank, rate=60_000)
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
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    blank.execute("ALTER SYSTEM SET max_wal_senders = 0")
    blank.execute("ALTER SYSTEM SET wal_level = 'minimal'")
    restarted(blank)
    with pytest.raises(NotSupported, match="max_wal_senders is 0"):
        take_physical(blank)
    blank.execute("ALTER SYSTEM RESET wal_level")
    blank.execute("ALTER SYSTEM SET max_wal_senders = 1")
    restarted(blank)
    with pytest.raises(AddonUnavailable, match="max_wal_senders"):
        take_physical(blank)  # one to copy and one to keep the WAL: two are needed
    blank.execute("ALTER SYSTEM SET max_wal_senders = 4")
    blank.execute("ALTER SYSTEM SET max_replication_slots = 0")
    restarted(blank)
    assert take_physical(blank).facts["files"] > 500  # without a slot it is said, and goes on


def test_a_server_without_a_line_for_replication_says_so(
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    with (
        let_in(blank, "host all all 127.0.0.1/32 scram-sha-256"),
        pytest.raises(NotSupported, match=r"pg_hba\.conf"),
    ):
        take_physical(blank)


@pytest.mark.parametrize("rule", ["reject", "peer"])
def test_a_server_whose_socket_is_for_others_is_copied_over_the_network(
    blank: PostgresServer, take_physical: TakePhysical, rule: str
) -> None:
    rules = (
        "local all all scram-sha-256",
        f"local replication all {rule}",
        "host all,replication all 127.0.0.1/32 scram-sha-256",
    )
    with let_in(blank, *rules):
        assert take_physical(blank).facts["files"] > 500


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


def test_a_stop_ends_the_copy_on_the_server_too(
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    """In the middle of the stream, and without freezing other threads while it waits."""
    guard = a_guard()
    failures: list[Failure] = []

    def take() -> None:
        try:
            take_physical(blank, rate=500, guard=guard)
        except Failure as error:
            failures.append(error)

    worker = threading.Thread(target=take)
    worker.start()
    senders = "SELECT count(*) FROM pg_stat_replication WHERE state = 'backup'"
    deadline = time.monotonic() + 30
    while blank.execute(senders) != [(1,)]:
        assert time.monotonic() < deadline
    guard.stop(Interrupted("aborted on request"))
    worker.join(10)
    assert not worker.is_alive()
    assert isinstance(failures[0], Interrupted)
    while blank.execute("SELECT count(*) FROM pg_stat_replication") != [(0,)]:
        assert time.monotonic() < deadline
    assert blank.execute("SELECT count(*) FROM pg_replication_slots") == [(0,)]


def test_a_rate_slows_the_copy(blank: PostgresServer, take_physical: TakePhysical) -> None:
    begun = time.monotonic()
    copy = take_physical(blank, rate=20_000)
    least = copy.facts["bytes"] / (20_000 << 10)
    assert time.monotonic() - begun > 0.7 * least > 1


# What is broken


def test_damaged_pages_end_the_copy(blank: PostgresServer, take_physical: TakePhysical) -> None:
    """The server tells at the very end."""
    ((path,),) = blank.execute("SELECT pg_relation_filepath('kept')")
    file = blank.place.directory / str(path)
    blank.execute("CHECKPOINT")
    whole = file.read_bytes()
    blank.engine.stop(blank.place)
    flip(file, 3 * 8192 + 4000)
    blank.start()
    try:
        with pytest.raises(EvidenceMissing, match="damaged pages"):
            take_physical(blank)
    finally:
        blank.engine.stop(blank.place)
        file.write_bytes(whole)
        blank.start()


def flip(file: Path, at: int) -> None:
    with file.open("r+b") as handle:
        handle.seek(at)
        byte = handle.read(1)[0]
        handle.seek(at)
        handle.write(bytes([byte ^ 0x10]))


def test_what_is_broken_on_the_way_back_is_found(
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    ((path,),) = blank.execute("SELECT pg_relation_filepath('kept')")
    copy = take_physical(blank)
    flip(copy.tree / "data" / str(path), 3 * 8192 + 4000)
    with pytest.raises((EvidenceMissing, RestoreDiffers), match=r"damaged|invalid page"):
        copy.rehearse()

    copy = take_physical(blank)
    for segment in (copy.tree / "data" / "pg_wal").glob("0*"):
        segment.unlink()
    with pytest.raises(RestoreDiffers, match="does not start"):
        copy.rehearse()

    copy = take_physical(blank)
    flip(copy.tree / "data" / "global" / "pg_control", 40)
    with pytest.raises(Failure):
        copy.rehearse()
    assert blank.execute(COUNT)


def test_a_rehearsal_that_is_stopped_leaves_no_server(
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    copy = take_physical(blank)
    guard = a_guard()
    copy.arrange()
    threading.Timer(0.15, guard.stop, [Interrupted("aborted on request")]).start()
    with pytest.raises(Interrupted):
        copy.rehearse(guard)
    assert copy.origin.engine.running(replace(blank.place, directory=copy.tree / "data")) is None
    assert Log().lines == []


def test_a_copy_needs_no_database_by_name(
    blank: PostgresServer, take_physical: TakePhysical
) -> None:
    """What it does not bring back is in its warnings."""
    blank.execute("CREATE DATABASE beside")
    blank.execute("CREATE UNLOGGED TABLE passing (a int)")
    blank.execute("DROP DATABASE postgres")
    copy = take_physical(blank)
    warned = [(w["database"], w["object"], w["text"]) for w in copy.facts["warnings"]]
    assert warned == [("main", "table public.passing", "it is unlogged, and comes back empty")]
    assert set(copy.rehearse()["databases"]) == {"beside", "main"}  # type: ignore[call-overload]
    with copy.started() as started:
        assert started.execute(COUNT) == blank.execute(COUNT)
