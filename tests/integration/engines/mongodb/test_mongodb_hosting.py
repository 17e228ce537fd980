"""Servers that Holdfast runs itself: made, started, found again, moved, stopped."""

import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pymongo
import pytest

from fixtures.holdfast import await_that, free_port
from fixtures.mongodb import OTHERS, link_mongodb
from fixtures.mongodb_managed import PASSWORD, inside, new_place, start
from fixtures.postgres import a_guard
from holdfast.contracts.local_servers import ADMIN, LocalServer, Login
from holdfast.domain.errors import RestoreDiffers, ToolMissing
from holdfast.engines.mongodb.client import tools
from holdfast.engines.mongodb.driver import MongoDB
from holdfast.engines.mongodb.hosting import private_server, server, wheels
from holdfast.kit.seal import Secret


@pytest.fixture
def place(mongodb_place: LocalServer) -> LocalServer:
    return mongodb_place


@pytest.fixture
def engine(mongodb_engine: MongoDB) -> MongoDB:
    return mongodb_engine


def test_the_life_of_a_server(engine: MongoDB, place: LocalServer) -> None:
    assert engine.running(place) is None
    assert not engine.ready(place)
    engine.initialise(place)
    engine.initialise(place)
    start(engine, place)
    running = psutil.Process(engine.running(place))
    assert running.username() != "root"
    listening = [each for each in running.net_connections() if each.status == "LISTEN"]
    assert {each.laddr.ip for each in listening} == {"127.0.0.1"}
    assert PASSWORD not in " ".join(running.cmdline())
    for path in place.directory.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()
    assert place.directory.stat().st_mode & 0o077 == 0
    assert not engine.ready(replace(place, admin=Login(ADMIN, Secret("wrong"))))
    with inside(place) as client:
        client.shop.orders.insert_one({"_id": 1})
        assert client.admin.command("hello")["setName"] == "rs0"
    with pytest.raises(pymongo.errors.OperationFailure), inside(place, secret="wrong") as client:
        client.shop.orders.find_one()
    running.send_signal(signal.SIGKILL)
    await_that(lambda: engine.running(place) is None)
    moved = replace(place, port=free_port())  # another program has the port now
    start(engine, moved)
    with inside(moved) as client:
        assert client.shop.orders.find_one() == {"_id": 1}
        client.shop.orders.insert_one({"_id": 2}, session=None)
        assert client.admin.command("hello")["me"] == f"127.0.0.1:{moved.port}"
    engine.stop(moved)
    assert engine.running(moved) is None
    engine.stop(moved)


def test_the_owner_is_no_administrator(engine: MongoDB, place: LocalServer) -> None:
    engine.initialise(place)
    start(engine, place)
    with inside(place) as client:
        client.shop.command("createUser", "app", pwd="p", roles=["readWrite"])
        client.other.things.insert_one({"_id": 1})
        client.admin.evil.insert_one({"_id": "admin.x"})
        root = {"role": "root", "db": "admin"}
        anything = {"resource": {"anyResource": True}, "actions": ["anyAction"]}
        users = {"resource": {"db": "admin", "collection": "system.users"}, "actions": ["find"]}
        for database, command in (
            ("admin", {"find": "system.users"}),
            ("admin", {"renameCollection": "admin.evil", "to": "admin.system.users"}),
            ("admin", {"drop": "system.users"}),
            ("admin", {"updateUser": ADMIN, "pwd": "x"}),
            ("admin", {"grantRolesToUser": "boss", "roles": ["root"]}),
            ("admin", {"createUser": "x", "pwd": "x", "roles": ["root"]}),
            ("shop", {"createUser": "x", "pwd": "x", "roles": [root]}),
            ("shop", {"createRole": "x", "privileges": [anything], "roles": []}),
            ("shop", {"createRole": "x", "privileges": [users], "roles": []}),
            ("admin", {"fsync": 1, "lock": True}),
            ("admin", {"shutdown": 1}),
            ("admin", {"setParameter": 1, "logLevel": 1}),
            ("admin", {"setFeatureCompatibilityVersion": "5.0"}),
            ("admin", {"replSetReconfig": {}, "force": True}),
            ("admin", {"applyOps": []}),
            ("local", {"drop": "oplog.rs"}),
            ("config", {"drop": "system.sessions"}),
        ):
            with pytest.raises(pymongo.errors.OperationFailure) as caught:
                client[database].command(command)
            assert caught.value.code == 13, (command, caught.value)
    assert engine.connections(server.address(place)) >= 0
    engine.stop(place)


def test_a_dead_snapshot_does_not_keep_a_server_from_ending(
    engine: MongoDB, place: LocalServer
) -> None:
    engine.initialise(place)
    start(engine, place)
    with inside(place, ADMIN, "admin's") as client:
        client.admin.command("fsync", lock=True)
        client.admin.command("fsync", lock=True)
    engine.stop(place)
    assert engine.running(place) is None


@pytest.mark.slow
def test_a_directory_that_no_server_starts_from_is_named(
    engine: MongoDB, place: LocalServer
) -> None:
    engine.initialise(place)
    (place.directory / "WiredTiger.turtle").write_bytes(b"nonsense")
    tool_set = engine.tool_set(place)
    with (
        pytest.raises(RestoreDiffers, match=r"does not start: .*WiredTiger"),
        private_server.booted(tool_set, place.directory, place, a_guard(), in_set=False),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("version", OTHERS)
def test_other_versions_run(engine: MongoDB, mongodb_home: Path, version: str) -> None:
    link_mongodb(mongodb_home / "tools", version)
    place = new_place(mongodb_home, engine.versions()[0])
    assert engine.series(place.version) == version
    engine.initialise(place)
    start(engine, place)
    with inside(place) as client:
        client.shop.orders.insert_one({"_id": 1})
        assert client.server_info()["version"] == place.version
    engine.stop(place)


def test_a_version_that_is_not_here_is_named(engine: MongoDB, place: LocalServer) -> None:
    with pytest.raises(ToolMissing, match=r"MongoDB 3\.6 .*holdfast tools install"):
        engine.initialise(replace(place, version="3.6.1"))
    with pytest.raises(ToolMissing, match="these can: 6"):
        wheels.install(Path("/nonexistent"), "7.0")


def test_a_processor_without_avx_is_named(tmp_path: Path) -> None:
    program = tmp_path / tools.PROGRAM
    program.write_text("#!/bin/sh\nkill -ILL $$\n")
    program.chmod(0o755)
    assert tools.inspect(program, "system") is None
    with pytest.raises(ToolMissing, match=r"no AVX.*signal 4.*4\.4"):
        wheels.require_running(program)
