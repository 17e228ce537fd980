"""A server that Holdfast runs itself: made, started, found again, stopped."""

import signal
from dataclasses import replace

import psutil
import pytest

from fixtures.postgres import PostgresServer, free_port
from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.errors import Permanent, ToolMissing
from holdfast.engines.postgresql.hosting import server as hosting
from holdfast.kit.seal import Secret


@pytest.fixture
def place(servers_root, request: pytest.FixtureRequest) -> LocalServer:
    name = "".join(c for c in request.node.name if c.isalnum())[-40:]
    return LocalServer(
        servers_root / name / "data",
        free_port(),
        "18",
        "boss",
        Secret("s3cr3t-of-boss"),
        'app "x"; $(id)',
    )


def test_the_life_of_a_server(postgres_engine, place: LocalServer) -> None:
    server = PostgresServer(postgres_engine, place, place.directory.with_name("log"))
    assert postgres_engine.running(place) is None
    assert not postgres_engine.ready(place)
    postgres_engine.initialise(place)
    postgres_engine.initialise(place)
    server.start()
    try:
        pid = postgres_engine.running(place)
        assert pid is not None
        assert psutil.Process(pid).username() != "root"
        assert server.execute("SELECT current_database()::text") == [(place.database,)]
        assert server.execute("SHOW data_checksums") == [("on",)]
        assert server.execute("SHOW listen_addresses") == [("127.0.0.1",)]
        assert not postgres_engine.ready(replace(place, password=Secret("wrong")))
        assert place.password.reveal() not in " ".join(psutil.Process(pid).cmdline())
    finally:
        postgres_engine.stop(place)
    assert postgres_engine.running(place) is None
    postgres_engine.stop(place)


def test_a_crashed_server_starts_again(postgres_engine, place: LocalServer) -> None:
    server = PostgresServer(postgres_engine, place, place.directory.with_name("log"))
    postgres_engine.initialise(place)
    server.start()
    try:
        server.execute("CREATE TABLE t AS SELECT 1 AS a")
        assert server.execute("SHOW max_locks_per_transaction") == [("256",)]
        process = psutil.Process(postgres_engine.running(place))
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        assert postgres_engine.running(place) is None
        server.start()
        assert server.execute("SELECT a FROM t") == [(1,)]
    finally:
        postgres_engine.stop(place)


def test_a_half_made_directory_is_replaced(postgres_engine, place: LocalServer) -> None:
    for half in (place.directory, place.directory.with_name("data.new")):
        (half / "base").mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
    postgres_engine.initialise(place)
    assert (place.directory / "global" / "pg_control").exists()
    assert not place.directory.with_name("data.new").exists()


def test_an_unknown_version_names_the_tools(postgres_engine, place: LocalServer) -> None:
    with pytest.raises(ToolMissing, match="PostgreSQL 42"):
        postgres_engine.initialise(replace(place, version="42.1"))


def test_a_private_parent_is_reported(postgres_engine, place: LocalServer) -> None:
    if hosting.run_as() is None:
        pytest.skip("only root hands its servers to another user")
    place.directory.parent.mkdir(mode=0o700)
    with pytest.raises(Permanent, match="needs the x permission"):
        postgres_engine.initialise(place)


def test_a_long_path_has_no_socket(place: LocalServer) -> None:
    assert hosting.sockets(place) == f'"{place.directory}"'
    assert hosting.sockets(replace(place, directory=place.directory / ("x" * 90))) == ""
