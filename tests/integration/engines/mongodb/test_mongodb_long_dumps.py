"""Dumps that take long, are of very large or very many documents, or lose their primary."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pymongo
import pytest

from fixtures.holdfast import await_that, free_port
from fixtures.mongodb import EVERY_RUN, MongoServer, StartMongo, running_mongodb
from fixtures.mongodb_data import BIG_BYTES, differences, fingerprint
from fixtures.mongodb_dumps import restore, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import EVERYTHING, Address
from holdfast.domain.errors import AddonUnavailable, SourceChanged
from holdfast.engines.mongodb.client.address import parse
from holdfast.engines.mongodb.dump import dump, sessions
from holdfast.engines.mongodb.dump.dump import DATABASES

pytestmark = pytest.mark.slow

ROWS = 60_000
"""More than one batch of 16 MB."""
MAX_RESIDENT_MB = 300
TINY, HUGE = 1_000_000, 12


@pytest.fixture(scope="module")
def hasty(start_mongodb: StartMongo) -> MongoServer:
    """A server that ends sessions after a minute without a command, and idle cursors at once."""
    settings = {
        "localLogicalSessionTimeoutMinutes": 1,
        "logicalSessionRefreshMillis": 1000,
        "cursorTimeoutMillis": 1000,
        "clientCursorMonitorFrequencySecs": 1,
    }
    options = [
        word for name, value in settings.items() for word in ("--setParameter", f"{name}={value}")
    ]
    server = start_mongodb("hasty", options=options)
    server.wipe()
    documents = ({"_id": number, "text": "x" * 1000} for number in range(ROWS))
    server.client().shop.orders.insert_many(documents)
    return server


@pytest.mark.parametrize("is_refreshed", [True, False])
def test_a_session_outlives_a_slow_store(
    hasty: MongoServer, monkeypatch: pytest.MonkeyPatch, *, is_refreshed: bool
) -> None:
    monkeypatch.setattr(sessions, "_REFRESH_SECONDS", 5.0 if is_refreshed else 3600.0)
    attempt = Log().attempt("backup")
    with dump.dump(hasty.address, EVERYTHING, attempt, a_guard()) as session:
        source = session.open(DATABASES)
        read_first_batch(source)
        time.sleep(100)  # the store takes that long for a piece
        if not is_refreshed:
            with pytest.raises(AddonUnavailable, match="cursor"):
                read_all(source)
            return
        read_all(source)
        source.finish()
        assert session.inventory().tables[0].rows == ROWS


def read_first_batch(source: Any) -> None:
    """Reads until documents have come: the next batch is asked for by then."""
    size = 0
    while size < 1 << 20:
        size += len(source.read(1 << 20))


def read_all(source: Any) -> int:
    return sum(map(len, iter(lambda: source.read(1 << 20), b"")))


@pytest.fixture
def set_of_three() -> Iterator[list[MongoServer]]:
    """Three members that vote, without passwords; the first one is the primary."""
    with ExitStack() as resources:
        primary = resources.enter_context(running_mongodb(login=False))
        members = [primary]
        for _ in range(2):
            home = Path(tempfile.mkdtemp(prefix="hf-mongo-"))
            resources.callback(shutil.rmtree, home, ignore_errors=True)
            member = MongoServer(EVERY_RUN, home, free_port(), login=False)
            resources.callback(member.stop, kill=True)
            member.start(joins=True)
            members.append(member)
        admin = primary.client().admin
        for number, member in enumerate(members[1:], 1):
            config = admin.command("replSetGetConfig")["config"]
            config["version"] += 1
            config["settings"]["electionTimeoutMillis"] = 2000
            config["members"].append({"_id": number, "host": f"127.0.0.1:{member.port}"})
            admin.command("replSetReconfig", config)
            other = member.client().admin
            await_that(lambda other=other: other.command("hello")["secondary"])
        yield members


def address_of(members: list[MongoServer]) -> Address:
    hosts = ",".join(f"127.0.0.1:{member.port}" for member in members)
    return parse(f"mongodb://{hosts}/?replicaSet=rs0")


def primary_of(members: list[MongoServer]) -> MongoServer | None:
    for member in members:
        if member.child is not None and member.client().admin.command("hello")["isWritablePrimary"]:
            return member
    return None


def dump_while(address: Address, act: Callable[[], None]) -> None:
    """Lets something happen when the first documents were read."""
    with dump.dump(address, EVERYTHING, Log().attempt("backup"), a_guard()) as session:
        source = session.open(DATABASES)
        read_first_batch(source)
        act()
        read_all(source)
        source.finish()


def give_up(member: MongoServer, end: str) -> None:
    if end == "is killed":
        member.stop(kill=True)
        return
    with contextlib.suppress(pymongo.errors.AutoReconnect):
        member.client().admin.command("replSetStepDown", 60, force=True)


@pytest.mark.parametrize("end", ["steps down", "is killed"])
def test_a_secondary_becomes_primary_in_the_middle(
    set_of_three: list[MongoServer], end: str
) -> None:
    """The attempt ends as one that may be repeated, and its repetition reads the new primary."""
    members, address = set_of_three, address_of(set_of_three)
    old = members[0]
    orders = old.client(w="majority").shop.orders
    orders.insert_many({"_id": number, "text": "x" * 1000} for number in range(ROWS))
    with pytest.raises((AddonUnavailable, SourceChanged)):
        dump_while(address, lambda: give_up(old, end))
    await_that(lambda: primary_of(members) not in (None, old))
    taken = take(address)
    assert taken.dump.inventory.tables[0].rows == ROWS
    target = primary_of(members)
    assert target is not None
    before = fingerprint(target.client())
    target.client().shop.orders.delete_many({})
    restore(address, taken)
    assert differences(before, fingerprint(target.client())) == []


def test_definitions_that_change_all_the_time(mongodb: MongoServer) -> None:
    """Each dump is whole, or says that it is not: no collection reads as empty or half."""
    main = mongodb.client().main
    sizes = {"stock": 3000, "fresh": 7, "indexed": 500}
    for name, size in sizes.items():
        main[name].insert_many({"_id": number, "a": number} for number in range(size))
    over = threading.Event()

    def change() -> None:
        database = mongodb.client().main
        while not over.is_set():
            list(database.fresh.aggregate([{"$out": "other"}]))
            database.stock.rename("moved")
            time.sleep(0.05)
            database.moved.rename("stock")
            database.indexed.create_index("a")
            database.indexed.drop_index("a_1")
            time.sleep(0.3)

    thread = threading.Thread(target=change)
    thread.start()
    outcomes = {"whole": 0, "changed": 0}
    try:
        for _ in range(40):
            try:
                taken = take(mongodb.address)
            except SourceChanged:
                outcomes["changed"] += 1
                continue
            outcomes["whole"] += 1
            rows = {table.name: table.rows for table in taken.dump.inventory.tables}
            assert sizes["stock"] == rows.get("stock", rows.get("moved"))
            assert rows["fresh"] == rows.get("other", 7) == 7
            assert rows["indexed"] == 500
    finally:
        over.set()
        thread.join()
    assert outcomes["whole"], outcomes
    assert outcomes["changed"], outcomes


MEASURED = """
import resource, sys
from holdfast.contracts.engine import EVERYTHING, Dump
from holdfast.engines.mongodb.dump import archive, dump
from holdfast.engines.mongodb.restore import swap
from holdfast.engines.mongodb.restore.staging import Staging
from fixtures.postgres import Log, a_guard
from holdfast.engines.mongodb.client.address import parse

source, target, path = sys.argv[1:]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with dump.dump(parse(source), EVERYTHING, Log().attempt("backup"), a_guard()) as session:
    (member,) = [member for member in session.members if member.name.startswith("data")]
    opened = session.open(member)
    with open(path, "wb") as file:
        while data := opened.read(1 << 20):
            file.write(data)
    opened.finish()
    described = Dump("", [member], dict(session.facts), session.inventory())
def pieces():
    with open(path, "rb") as file:
        yield from iter(lambda: file.read(1 << 18), b"")
archive.examine(member, pieces())
attempt = Log().attempt("restore")
loaded = Staging(parse(target), described, attempt, a_guard()).run(lambda name: pieces())
assert loaded == described.inventory
swap.swap(parse(target), attempt, a_guard())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) // 1024)
"""


def test_memory_is_bounded_for_many_tiny_and_some_huge_documents(
    mongodb: MongoServer, other_mongodb: MongoServer, tmp_path: Path
) -> None:
    client = mongodb.client()
    for first in range(0, TINY, 50_000):
        client.shop.tiny.insert_many({"_id": first + number} for number in range(50_000))
    for number in range(HUGE):
        client.shop.huge.insert_one({"_id": number, "data": b"\x5a" * (BIG_BYTES - 64)})
    words = [mongodb.url, other_mongodb.url, str(tmp_path / "archive")]
    tests = str(Path(__file__).parents[3])
    program = f"import sys; sys.path.insert(0, {tests!r})\n{MEASURED}"
    measured = subprocess.run(
        [sys.executable, "-c", program, *words], check=True, capture_output=True, text=True
    )
    assert int(measured.stdout) < MAX_RESIDENT_MB
    target = other_mongodb.client()
    assert (
        target.shop.command("dbHash")["collections"] == client.shop.command("dbHash")["collections"]
    )
