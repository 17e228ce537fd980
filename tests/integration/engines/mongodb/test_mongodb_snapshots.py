"""Snapshots of managed servers: saved under a load, restored, and no lock left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymongo
import pytest

from fixtures.holdfast import await_that, fresh
from fixtures.installation import installation_home
from fixtures.mongodb import EVERY_RUN, MongoServer, link_mongodb
from fixtures.mongodb_managed import PASSWORD, inside, new_place, start
from fixtures.physical import write
from fixtures.postgres import Log, a_guard
from holdfast.contracts.local_servers import DIFFERENCES, LocalServer
from holdfast.domain.errors import EvidenceMissing, NotSupported, RestoreDiffers
from holdfast.engines.mongodb import create
from holdfast.engines.mongodb.client.connection import connect
from holdfast.engines.mongodb.driver import MongoDB
from holdfast.engines.mongodb.hosting import server
from holdfast.engines.mongodb.physical import locked_copy
from holdfast.kit.seal import Secret

ROWS = 2_000


@dataclass
class Taken:
    """A snapshot as files, with what the engine said about it."""

    tree: Path
    facts: Mapping[str, Any]
    log: list[str]

    @property
    def manifest(self) -> Mapping[str, Any]:
        return {"facts": self.facts, "version": self.facts["version"]}


def take(engine: MongoDB, place: LocalServer, home: Path) -> Taken:
    tree, log = Path(tempfile.mkdtemp(dir=home)), Log()
    address = server.address(place)
    with engine.snapshot(address, log.attempt(), a_guard(), None) as session:
        for piece in session.pieces():
            write(tree, piece)
    return Taken(tree, json.loads(json.dumps(session.facts)), log.lines)


def restore(engine: MongoDB, taken: Taken, place: LocalServer) -> Mapping[str, Any]:
    """As a job does it."""
    assert engine.obstacles(place, taken.manifest) == []
    engine.arrange(taken.tree, place)
    engine.arrange(taken.tree, place)
    proven = engine.rehearse(taken.tree, place, taken.facts, a_guard())
    place.directory.parent.mkdir(mode=0o755, exist_ok=True)
    (taken.tree / "data").rename(place.directory)
    return proven


@pytest.fixture(scope="module")
def mongodb_home() -> Iterator[Path]:
    """One for all tests, so that the server is made once."""
    with installation_home() as home:
        link_mongodb(home / "tools")
        yield home


@pytest.fixture(scope="module")
def mongodb_engine(mongodb_home: Path) -> MongoDB:
    return create(mongodb_home / "tools")


@pytest.fixture(scope="module")
def mongodb_place(mongodb_home: Path, mongodb_engine: MongoDB) -> Iterator[LocalServer]:
    place = new_place(mongodb_home, EVERY_RUN)
    yield place
    mongodb_engine.stop(place)


@pytest.fixture(scope="module")
def running(mongodb_engine: MongoDB, mongodb_place: LocalServer) -> LocalServer:
    mongodb_engine.initialise(mongodb_place)
    start(mongodb_engine, mongodb_place)
    with inside(mongodb_place) as client:
        orders = client.shop.orders
        orders.insert_many([{"_id": number, "text": "x" * 100} for number in range(ROWS)])
        orders.create_index("text")
        client.shop.create_collection("points", timeseries={"timeField": "t"})
        client.shop.create_collection("view", viewOn="orders", pipeline=[])
        client.shop.command("createUser", "app", pwd="p", roles=["readWrite"])
    return mongodb_place


@contextmanager
def written_to(place: LocalServer) -> Iterator[list[int]]:
    """Yields the numbers that a writer has been told are written, one after the other."""
    acknowledged: list[int] = []
    over = threading.Event()
    with inside(place) as client:
        client.shop.log.drop()

    def insert() -> None:
        with inside(place) as client:
            while not over.is_set():
                client.shop.log.insert_one({"_id": len(acknowledged)})
                acknowledged.append(len(acknowledged))

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        await_that(lambda: len(acknowledged) > 10)
        yield acknowledged
    finally:
        over.set()
        thread.join()


def test_a_snapshot_comes_back(
    mongodb_engine: MongoDB, running: LocalServer, mongodb_home: Path
) -> None:
    with written_to(running) as acknowledged:
        before = len(acknowledged)
        taken = take(mongodb_engine, running, mongodb_home)
        count = len(acknowledged)
        await_that(lambda: len(acknowledged) > count)  # the lock is gone
    assert taken.facts["lockedMs"] < 10_000
    assert taken.facts["documents"]["shop.orders"] == ROWS
    assert before <= taken.facts["documents"]["shop.log"] <= count + 1
    assert not list(running.directory.parent.glob("copy.*"))
    assert not (running.directory / server.LOCKED).exists()
    assert not (taken.tree / "data" / server.KEY_FILE).exists()
    other = replace(
        new_place(mongodb_home, running.version, fresh("other")),
        user="chef",
        password=Secret("new"),
    )
    proven = restore(mongodb_engine, taken, other)
    assert proven[DIFFERENCES] == []
    assert "validate of shop" in proven["checked"]
    start(mongodb_engine, other)
    with inside(other, "chef", "new") as client:
        assert client.shop.orders.count_documents({}) == ROWS
        saved = [each["_id"] for each in client.shop.log.find().sort("_id")]
        assert saved == list(range(len(saved)))
        assert len(saved) >= before
        assert client.admin.command("hello")["me"] == f"127.0.0.1:{other.port}"
    with inside(other, "boss", PASSWORD) as client:  # the snapshot's owner is a user like others
        assert client.shop.orders.find_one({"_id": 7})
    mongodb_engine.stop(other)


@pytest.mark.slow
def test_accounts_of_a_stranger_do_not_come_back(
    mongodb_engine: MongoDB, running: LocalServer, mongodb_home: Path
) -> None:
    taken = take(mongodb_engine, running, mongodb_home)
    other = replace(new_place(mongodb_home, running.version, fresh("other")), user="chef")
    foreign = replace(taken, facts={**taken.facts, "foreign": True})
    restore(mongodb_engine, foreign, other)
    start(mongodb_engine, other)
    with inside(other, "chef") as client:
        assert client.shop.orders.count_documents({}) == ROWS
        assert client.shop.command("usersInfo")["users"] == []
    with pytest.raises(pymongo.errors.OperationFailure), inside(other, "boss") as client:
        client.shop.orders.find_one()
    mongodb_engine.stop(other)


@pytest.mark.slow
def test_damaged_files_are_found(
    mongodb_engine: MongoDB, running: LocalServer, mongodb_home: Path
) -> None:
    taken = take(mongodb_engine, running, mongodb_home)
    largest = max((taken.tree / "data").glob("collection-*.wt"), key=lambda p: p.stat().st_size)
    body = largest.read_bytes()
    middle = len(body) // 2
    largest.write_bytes(body[:middle] + bytes(8192) + body[middle + 8192 :])
    other = new_place(mongodb_home, running.version, fresh("other"))
    with pytest.raises((EvidenceMissing, RestoreDiffers)):
        restore(mongodb_engine, taken, other)


DIES_LOCKED = """
import sys, time
from pathlib import Path
from holdfast.contracts.engine import Address
from holdfast.engines.mongodb import create
from holdfast.engines.mongodb.client.connection import connect
from holdfast.engines.mongodb.physical.locked_copy import locked
from holdfast.kit.seal import Secret
port, user, password, directory = sys.argv[1:]
address = Address("127.0.0.1", int(port), user, Secret(password), "shop", owner="boss")
with connect(address) as connection, locked(connection, Path(directory), 60):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def dying(running: LocalServer) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds the lock."""
    login = server.address(running)
    words = [str(running.port), login.user, login.password.reveal(), str(running.directory)]
    child = subprocess.Popen([sys.executable, "-c", DIES_LOCKED, *words], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"locked\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_the_lock_of_a_dead_snapshot_is_taken_away(
    running: LocalServer, dying: "subprocess.Popen[bytes]"
) -> None:
    assert _is_locked(running)
    dying.kill()
    dying.wait()
    await_that(lambda: not _is_locked(running))
    with inside(running) as client:
        client.shop.orders.insert_one({"_id": "written"})
        client.shop.orders.delete_one({"_id": "written"})


def test_so_it_is_when_the_watchdog_dies_as_well(
    mongodb_engine: MongoDB, running: LocalServer, dying: "subprocess.Popen[bytes]"
) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        if b"watchdog.py" in _read(process / "cmdline") and str(dying.pid).encode() in _read(
            process / "environ"
        ):
            os.kill(int(process.name), signal.SIGKILL)
    dying.kill()
    dying.wait()
    assert _is_locked(running)
    assert mongodb_engine.ready(running)
    assert not _is_locked(running)


def test_a_watchdog_ends_only_when_the_lock_is_gone(
    running: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server cannot be reached when the snapshot fails."""
    address, seconds = server.address(running), 1.0
    monkeypatch.setattr(locked_copy, "_WATCHDOG_SECONDS", 2.0)

    def unreachable(_: object) -> None:
        raise pymongo.errors.AutoReconnect

    monkeypatch.setattr(locked_copy, "unlock", unreachable)
    with (
        pytest.raises(ValueError, match="the copy failed"),
        connect(address) as connection,
        locked_copy.locked(connection, running.directory, seconds),
    ):
        raise ValueError("the copy failed")
    assert _is_locked(running)
    await_that(lambda: not _is_locked(running))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _is_locked(place: LocalServer) -> bool:
    login = server.address(place)
    with inside(place, login.user, login.password.reveal()) as client:
        return bool(client.admin.command("currentOp").get("fsyncLock"))


@pytest.mark.slow
def test_a_server_that_writes_too_much_is_not_kept_waiting(
    mongodb_engine: MongoDB,
    running: LocalServer,
    mongodb_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locked_copy, "_WAIT_SECONDS", 0.0)
    with (
        written_to(running) as acknowledged,
        pytest.raises(NotSupported, match=r"writes would wait longer|its writes went on"),
    ):
        take(mongodb_engine, running, mongodb_home)
    assert acknowledged
    assert not _is_locked(running)


def test_attached_servers_have_none(mongodb_engine: MongoDB, mongodb: MongoServer) -> None:
    with (
        pytest.raises(NotSupported, match="no backup cursor; take dumps"),
        mongodb_engine.snapshot(mongodb.address, Log().attempt(), a_guard(), None),
    ):
        pass


def test_files_of_another_series_are_refused(
    mongodb_engine: MongoDB, mongodb_place: LocalServer
) -> None:
    facts = {"series": "6.0", "compatibility": "6.0", "machine": os.uname().machine}

    def obstacles(**changes: str) -> str:
        manifest = {"facts": {**facts, **changes}, "version": "6.0.5"}
        return "; ".join(mongodb_engine.obstacles(mongodb_place, manifest))

    assert obstacles() == ""
    assert obstacles(series="5.0", compatibility="5.0") == ""
    assert "starts only on files of 6.0 or 5.0" in obstacles(series="4.4", compatibility="4.4")
    assert "starts only on files of 6.0 or 5.0" in obstacles(series="7.0", compatibility="7.0")
    assert "compatibility version is 4.4" in obstacles(series="5.0", compatibility="4.4")
    assert "of a vax" in obstacles(machine="vax")


@pytest.mark.slow
def test_a_snapshot_of_the_series_before_comes_back(
    mongodb_engine: MongoDB, mongodb_home: Path
) -> None:
    link_mongodb(mongodb_home / "tools", "6.0.5", "5.0")
    old = new_place(mongodb_home, "5.0.4", fresh("older"))
    mongodb_engine.initialise(old)
    start(mongodb_engine, old)
    with inside(old) as client:
        client.shop.orders.insert_many([{"_id": number} for number in range(ROWS)])
    taken = take(mongodb_engine, old, mongodb_home)
    mongodb_engine.stop(old)
    new = new_place(mongodb_home, "6.0.5", fresh("other"))
    restore(mongodb_engine, taken, new)
    start(mongodb_engine, new)
    with inside(new) as client:
        assert client.shop.orders.count_documents({}) == ROWS
        assert client.server_info()["version"] == "6.0.5"
    assert mongodb_engine.probe(server.address(new)).facts["featureCompatibilityVersion"] == "6.0"
    mongodb_engine.stop(new)
