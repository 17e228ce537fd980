"""What is refused before anything is touched, and that the reason is named."""

import select
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, Taken, a_guard, free_port, restore, take
from holdfast.contracts.engine import ABSENT, EVERYTHING, Address
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    PreflightRefused,
    ToolMissing,
)
from holdfast.engines.postgresql import create
from holdfast.engines.postgresql.client import tools
from holdfast.kit.seal import Secret

MAJOR = 16


@pytest.fixture
def server(blank_server) -> PostgresServer:
    made = blank_server(MAJOR)
    made.execute("CREATE SCHEMA s; CREATE TABLE s.t (a int); INSERT INTO s.t VALUES (1)")
    return made


@pytest.fixture
def taken(server: PostgresServer) -> Taken:
    return take(server.engine, server.address)


def as_user(server: PostgresServer, user: str) -> Address:
    return replace(server.address, user=user, password=Secret("pw"))


def test_a_wrong_password_is_named(server: PostgresServer) -> None:
    with pytest.raises(AddonRefused, match="password of user admin") as caught:
        server.engine.probe(replace(server.address, password=Secret("wrong")))
    assert "wrong" not in str(caught.value)


def test_a_dead_port_is_named(server: PostgresServer) -> None:
    port = free_port()
    with pytest.raises(AddonUnavailable, match=f"no server answers at 127.0.0.1:{port}"):
        server.engine.probe(replace(server.address, port=port))


def test_an_unknown_host_is_named(server: PostgresServer) -> None:
    with pytest.raises(AddonUnavailable, match=r"no server answers at no-such-host\.invalid"):
        server.engine.probe(replace(server.address, host="no-such-host.invalid"))


def test_a_missing_database_is_a_fact(server: PostgresServer) -> None:
    """Not a refusal: a restore may be meant to bring it back. Who attaches a server is refused."""
    nowhere = replace(server.address, database="nowhere")
    assert server.engine.probe(nowhere).facts[ABSENT] == "nowhere"
    assert ABSENT not in server.engine.probe(server.address).facts


def test_something_else_at_the_port_is_no_server(server: PostgresServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = replace(
            server.address, port=deaf.getsockname()[1], options={"connect_timeout": "2"}
        )
        with pytest.raises(AddonUnavailable):
            server.engine.probe(address)


def test_a_pooler_is_named(server: PostgresServer) -> None:
    """What tells one: the session's own process id is not the one the greeting named."""
    with socket.create_server(("127.0.0.1", 0)) as front:
        thread = threading.Thread(target=pretend_pooling, args=(front, server.place.port))
        thread.start()
        address = replace(
            server.address, port=front.getsockname()[1], options={"sslmode": "disable"}
        )
        with pytest.raises(AddonRefused, match="connection pooler"):
            server.engine.probe(address)
        front.shutdown(socket.SHUT_RDWR)
        thread.join()


def pretend_pooling(front: socket.socket, port: int) -> None:
    """One after the other: a session finds out what it may set by trying."""
    with suppress(OSError):
        while True:
            pretend_once(front.accept()[0], port)


def pretend_once(client: socket.socket, port: int) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as behind:
        while ready := select.select([client, behind], [], [], 10)[0]:
            source, sink = (client, behind) if ready[0] is client else (behind, client)
            data = source.recv(1 << 16)
            if not data:
                return
            key = data.find(b"K\x00\x00\x00\x0c")
            if source is behind and key >= 0:
                data = data[: key + 5] + (1234567).to_bytes(4, "big") + data[key + 9 :]
            sink.sendall(data)


def test_a_missing_privilege_is_named(server: PostgresServer) -> None:
    server.execute("CREATE ROLE weak LOGIN PASSWORD 'pw'; ALTER TABLE s.t OWNER TO admin")
    with pytest.raises(AddonRefused) as caught:
        server.engine.probe(as_user(server, "weak"))
    assert caught.value.facts["missing"] == [
        "SELECT on s.t in database main",
        "USAGE on schema s in database main",
    ]


def test_row_security_that_would_hide_rows_is_named(server: PostgresServer) -> None:
    server.execute(
        "CREATE ROLE weak LOGIN PASSWORD 'pw' IN ROLE pg_read_all_data;"
        "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY"
    )
    with pytest.raises(AddonRefused, match=r"BYPASSRLS for s\.t"):
        server.engine.probe(as_user(server, "weak"))


def test_who_may_read_all_may_dump_without_passwords(server: PostgresServer) -> None:
    server.execute("CREATE ROLE weak LOGIN PASSWORD 'pw' IN ROLE pg_read_all_data")
    address = as_user(server, "weak")
    assert server.engine.probe(address).facts["passwords"] is False
    taken = take(server.engine, address)
    assert b"PASSWORD" not in taken.plain["globals.sql"]
    assert taken.dump.facts["passwords"] is False


def test_a_restore_by_an_ordinary_user(server: PostgresServer, start_postgres) -> None:
    """CREATEDB and CREATEROLE are enough when everything belongs to the user's own roles."""
    server.execute("CREATE ROLE app LOGIN PASSWORD 'pw' CREATEDB CREATEROLE")
    server.execute("CREATE DATABASE apps OWNER app")
    server.execute("DROP DATABASE main", "postgres")
    app = replace(as_user(server, "app"), database="apps")
    with server.connect("apps") as session:
        session.execute("SET ROLE app; CREATE TABLE public.mine AS SELECT 7 AS a")
    taken = take(server.engine, app)
    server.execute("CREATE DATABASE foreign_one", "postgres")
    with pytest.raises(PreflightRefused, match="must be a member of role admin"):
        server.engine.preflight(app, taken.dump)
    server.execute("DROP DATABASE foreign_one", "postgres")
    server.execute("UPDATE public.mine SET a = 8", "apps")
    restore(server.engine, app, taken, Log())
    assert server.execute("SELECT a FROM public.mine", "apps") == [(7,)]


def test_a_dump_that_may_not_read_everything_names_the_privilege(server: PostgresServer) -> None:
    server.execute("CREATE ROLE weak LOGIN PASSWORD 'pw'")
    with pytest.raises(AddonRefused, match="permission denied for schema s"):
        take(server.engine, as_user(server, "weak"))


def test_every_obstacle_is_listed_and_nothing_is_touched(
    server: PostgresServer, taken: Taken
) -> None:
    before = fingerprint(server.address)
    broken = {
        **taken.dump.facts["databases"][0],
        "extensions": [
            {"name": "postgis", "version": "3.4", "schema": "public"},
            {"name": "citext", "version": "99.0", "schema": "public"},
        ],
        "collate": "xx_XX.UTF-8",
        "size": 1 << 60,
    }
    dump = replace(taken.dump, facts={**taken.dump.facts, "databases": [broken]})
    with pytest.raises(PreflightRefused) as caught:
        server.engine.preflight(server.address, dump)
    told = "; ".join(caught.value.facts["obstacles"])
    assert "extension postgis 3.4 is not available" in told
    assert "extension citext 99.0 is needed" in told
    assert "--skip-failed-objects" in caught.value.message
    assert "locale xx_XX.UTF-8" in told
    assert "bytes free" in told
    assert differences(before, fingerprint(server.address)) == []


def test_a_missing_extension_may_be_left_out(server: PostgresServer, taken: Taken) -> None:
    wanted = {"name": "postgis", "version": "3.4", "schema": "public"}
    databases = [{**found, "extensions": [wanted]} for found in taken.dump.facts["databases"]]
    dump = replace(taken.dump, facts={**taken.dump.facts, "databases": databases})
    with pytest.raises(PreflightRefused, match="postgis"):
        server.engine.preflight(server.address, dump)
    server.engine.preflight(server.address, replace(dump, skips_failed=True))


def test_lacking_privileges_are_listed(server: PostgresServer, taken: Taken) -> None:
    server.execute("CREATE ROLE weak LOGIN PASSWORD 'pw'")
    roles = [*taken.dump.facts["roles"], {"name": "newcomer"}]
    dump = replace(taken.dump, facts={**taken.dump.facts, "roles": roles})
    with pytest.raises(PreflightRefused) as caught:
        server.engine.preflight(as_user(server, "weak"), dump)
    told = "; ".join(caught.value.facts["obstacles"])
    assert "needs CREATEDB" in told
    assert "needs CREATEROLE to make newcomer" in told
    assert "must be a member of role admin" in told


def test_without_a_client_new_enough_nothing_starts(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with Debian's 15 alone, whatever else there is on this one."""
    (tmp_path / "15").symlink_to("/usr/lib/postgresql/15")
    monkeypatch.setattr(tools, "_DEBIAN", tmp_path)
    monkeypatch.setattr(tools, "which", lambda _: None)
    engine = create(tmp_path / "own")
    assert {found.major for found in engine.tools()} == {15}
    with (
        pytest.raises(ToolMissing, match=f"holdfast tools install postgresql {MAJOR}"),
        engine.dump(server.address, EVERYTHING, Log().attempt(), a_guard()),
    ):
        pytest.fail("it started")


@pytest.mark.parametrize(
    "evil",
    [
        b"DROP ROLE admin;",
        b"\\! touch /tmp/owned\n",
        b"ALTER SYSTEM SET archive_command = 'x';",
        b"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        b"COPY t FROM PROGRAM 'id';",
        b"CREATE ROLE x; DROP DATABASE main",
    ],
)
def test_globals_with_anything_else_are_refused(
    server: PostgresServer, taken: Taken, evil: bytes
) -> None:
    before = fingerprint(server.address)
    spoiled = {**taken.plain, "globals.sql": taken.plain["globals.sql"] + evil}
    with pytest.raises(EvidenceMissing):
        server.engine.stage(
            server.address,
            taken.dump,
            replace(taken, plain=spoiled).fetch,
            Log().attempt(),
            a_guard(),
        )
    server.engine.discard(server.address, Log().attempt())
    assert differences(before, fingerprint(server.address)) == []


def test_the_targets_own_admin_is_never_changed(server: PostgresServer, taken: Taken) -> None:
    spoiled = taken.plain["globals.sql"] + b"ALTER ROLE admin WITH NOLOGIN PASSWORD 'stolen';\n"
    changed = replace(taken, plain={**taken.plain, "globals.sql": spoiled})
    restore(server.engine, server.address, changed, Log())
    assert server.engine.probe(server.address).facts["superuser"] is True
