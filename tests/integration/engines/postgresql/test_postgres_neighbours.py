"""What people run with PostgreSQL: a pooler in front of it, large extensions in it."""

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.postgres import Log, PostgresServer, ServerFactory, free_port, restore, take
from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.kit.seal import Secret

_SECONDS = 30


@contextmanager
def pgbouncer(server: PostgresServer, home: Path, **settings: str) -> Iterator[int]:
    """The port it listens on."""
    port, address = free_port(), server.address
    shown = {"listen_addr": "127.0.0.1", "listen_port": str(port), "auth_type": "trust",
             "auth_file": f"{home}/users", "unix_socket_dir": "", **settings}  # fmt: skip
    (home / "users").write_text('"pooled" "secret"\n')
    (home / "ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={address.port}\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in settings_of(shown))
    )
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        for path in (home, *home.iterdir()):
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    child = subprocess.Popen(["/usr/sbin/pgbouncer", str(home / "ini")], user=user, cwd="/",
                             stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        yield port
    finally:
        child.terminate()
        child.wait(_SECONDS)


def settings_of(shown: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in shown.items() if value]


@pytest.mark.parametrize(
    "settings",
    [
        {"pool_mode": "transaction"},
        {"pool_mode": "transaction", "ignore_startup_parameters": "options"},
        {"pool_mode": "session", "ignore_startup_parameters": "options"},
    ],
)
def test_a_pooler_is_told_from_the_server(
    blank_server: ServerFactory, servers_root: Path, settings: dict[str, str]
) -> None:
    server = blank_server(15)
    server.execute("CREATE ROLE pooled SUPERUSER LOGIN PASSWORD 'secret'")
    home = servers_root / f"bouncer-{time.monotonic_ns()}"
    home.mkdir()
    with pgbouncer(server, home, **settings) as port:
        through = replace(
            server.address, port=port, host="127.0.0.1", user="pooled", password=Secret("secret")
        )
        refusal = refused(server, through)
    assert refusal.facts["reason"] == "pooler", refusal.message
    assert "give the address behind the pooler" in refusal.message


def refused(server: PostgresServer, address: Address) -> AddonRefused:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            server.engine.probe(address)
        except AddonRefused as error:
            return error
        except AddonUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            pytest.fail("a pooler was taken for the server")


@pytest.mark.slow
def test_postgis_comes_back_with_its_own_data(blank_server: ServerFactory) -> None:
    """Rows of its own table that the extension says are the user's; geometry, and an index."""
    server = blank_server(15)
    for statement in (
        "CREATE EXTENSION postgis",
        "CREATE TABLE place (id int PRIMARY KEY, at geometry(Point, 4326), area geography)",
        "INSERT INTO place SELECT g, ST_SetSRID(ST_MakePoint(g, g), 4326),"
        " ST_Buffer(ST_MakePoint(g, g)::geography, 9) FROM generate_series(1, 50) g",
        "CREATE INDEX place_at ON place USING gist (at)",
        "INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid) VALUES (990001, 'ours', 1)",
        "CREATE MATERIALIZED VIEW near AS SELECT id FROM place"
        " WHERE ST_DWithin(at, ST_SetSRID(ST_MakePoint(3, 3), 4326), 1.5)",
    ):
        server.execute(statement)
    query = (
        "SELECT count(*), sum(ST_X(at)), max(ST_AsText(area)), (SELECT count(*) FROM near),"
        " (SELECT auth_name FROM spatial_ref_sys WHERE srid = 990001) FROM place"
    )
    before = server.execute(query)
    taken = take(server.engine, server.address)
    loaded = restore(server.engine, server.address, taken, Log())
    assert not loaded.skipped
    assert server.execute(query) == before
