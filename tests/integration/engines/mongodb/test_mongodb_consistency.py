"""Dumps of servers that go on: one instant, whatever is written, renamed or dropped meanwhile."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import bson
import pytest

from fixtures.mongodb import MongoServer, StartMongo
from fixtures.mongodb_data import fill, fingerprint
from fixtures.mongodb_dumps import restore, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import EVERYTHING, Address
from holdfast.domain.errors import AddonRefused, EvidenceMissing, SourceChanged
from holdfast.engines.mongodb.client.connection import connect
from holdfast.engines.mongodb.dump import archive, dump
from holdfast.engines.mongodb.dump import source as source_module
from holdfast.engines.mongodb.dump.dump import DATABASES, ArchiveSource, MongoDump
from holdfast.engines.mongodb.dump.instant import WINDOW, History
from holdfast.kit.clock import SystemClock

ACCOUNTS, BALANCE = 2_000, 100


@contextmanager
def transfers(server: MongoServer) -> Generator[list[int]]:
    """Moves money between accounts all the time, in transactions; counts the transfers."""
    over, made = threading.Event(), [0]

    def transfer() -> None:
        client, numbers = server.client(), random.Random(2)
        accounts = client.bank.accounts
        with client.start_session() as session:
            while not over.is_set():
                giver, taker = numbers.sample(range(ACCOUNTS), 2)
                with session.start_transaction():
                    accounts.update_one({"_id": giver}, {"$inc": {"b": -1}}, session=session)
                    accounts.update_one({"_id": taker}, {"$inc": {"b": 1}}, session=session)
                made[0] += 1

    thread = threading.Thread(target=transfer)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()


def documents_of(body: bytes) -> Iterator[dict[str, Any]]:
    for run in archive.Reader(iter([body])).runs():
        yield from map(bson.decode, run.documents())


def test_a_bank_is_dumped_at_one_instant(mongodb: MongoServer) -> None:
    accounts = mongodb.client().bank.accounts
    accounts.insert_many({"_id": n, "b": BALANCE, "padding": "x" * 3_000} for n in range(ACCOUNTS))
    with transfers(mongodb) as made, begun(mongodb.address) as (session, source):
        seen, parts = made[0], [source.read(1 << 16)]
        while part := source.read(1 << 16):
            parts.append(part)
            time.sleep(0.002)  # a slow store
        facts = source.finish()
        assert made[0] > seen + 10
        assert session.inventory().tables[0].rows == ACCOUNTS
    assert sum(document["b"] for document in documents_of(b"".join(parts))) == ACCOUNTS * BALANCE
    assert facts["countedAtInstant"] == 1


@contextmanager
def begun(address: Address, log: Log | None = None) -> Generator[tuple[MongoDump, ArchiveSource]]:
    """A dump whose instant is decided."""
    attempt = (log or Log()).attempt("backup")
    with dump.dump(address, EVERYTHING, attempt, a_guard()) as session:
        yield session, session.open(DATABASES)


def finish(source: ArchiveSource) -> bytes:
    body = b"".join(iter(lambda: source.read(1 << 20), b""))
    source.finish()
    return body


CHANGES: dict[str, Callable[[Any], object]] = {
    "dropped": lambda main: main.stock.drop(),
    "renamed": lambda main: main.stock.rename("other"),
    "replaced": lambda main: main.fresh.rename("stock", dropTarget=True),
    "rewritten by $out": lambda main: list(main.fresh.aggregate([{"$out": "stock"}])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_collection_that_changes_is_read_anew_and_never_empty(
    mongodb: MongoServer, change: str
) -> None:
    main = mongodb.client().main
    main.stock.insert_many({"_id": n} for n in range(500))
    main.fresh.insert_many({"_id": n} for n in range(3))
    with begun(mongodb.address) as (session, source):
        CHANGES[change](main)
        with pytest.raises(SourceChanged, match=r"main\.stock|replaced"):
            finish(source)
        with pytest.raises(EvidenceMissing):
            session.inventory()
    taken = take(mongodb.address)
    rows = {table.name: table.rows for table in taken.dump.inventory.tables}
    assert 500 in rows.values() or rows.get("stock") == 3 or rows == {"fresh": 3}


def test_what_only_adds_disturbs_nothing(mongodb: MongoServer) -> None:
    main = mongodb.client().main
    main.stock.insert_many({"_id": n, "a": n} for n in range(500))
    with begun(mongodb.address) as (session, source):
        main.stock.create_index("a")
        main.command("collMod", "stock", validator={"a": {"$exists": True}})
        main.stock.insert_many({"_id": -n, "a": n} for n in range(1, 100))
        main.stock.delete_many({"_id": {"$gt": 400}})
        main.new.insert_one({})
        body = finish(source)
        rows = {table.name: table.rows for table in session.inventory().tables}
    assert rows == {"stock": 500}
    assert sorted(document["_id"] for document in documents_of(body)) == list(range(500))


def test_rights_that_are_missing_are_named(mongodb: MongoServer) -> None:
    client = mongodb.client()
    client.main.a.insert_one({})
    client.admin.command("createUser", "keeper", pwd="k", roles=["backup"])
    client.admin.command("createUser", "reader", pwd="r", roles=["readAnyDatabase"])
    taken = take(mongodb.address_of("keeper", "k"))
    assert taken.dump.facts["accounts"] is True
    with pytest.raises(AddonRefused, match="privilege"):
        take(mongodb.address_of("reader", "r"))


def test_a_standalone_promises_less(standalone_mongodb: MongoServer) -> None:
    client, log = standalone_mongodb.client(), Log()
    fill(client, orders=30, big=False)
    before = fingerprint(client)
    taken = take(standalone_mongodb.address, log=log)
    assert "each collection by itself" in str(taken.dump.facts["consistency"])
    assert taken.dump.facts["instant"] is None
    (warned,) = taken.dump.facts["warnings"]
    assert warned["object"] == "consistency"
    assert "the server is no replica set" in warned["text"]
    assert any(warned["text"] in line for line in log.lines)
    standalone_mongodb.wipe()
    restore(standalone_mongodb.address, taken)
    assert fingerprint(client) == before


MARKED = {"$lt": 20}
"""Identities in the first batch."""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["4.4", "5.0"])
def test_a_transaction_that_is_open_meanwhile(start_mongodb: StartMongo, version: str) -> None:
    """4.4 may hold a part of it, and its evidence says so; 5.0 holds nothing of it."""
    server = start_mongodb("older", version)
    server.wipe()
    client = server.client()
    for name in ("early", "late"):
        client.bank[name].insert_many({"_id": n, "b": 0, "x": "x" * 50_000} for n in range(500))
    with client.start_session() as transfer, transfer.start_transaction():
        for name in ("early", "late"):
            client.bank[name].update_many({"_id": MARKED}, {"$inc": {"b": 1}}, session=transfer)
        with begun(server.address) as (session, source):
            body = b""
            while len(body) < 1 << 20:  # until documents have come
                body += source.read(1 << 20)
            transfer.commit_transaction()
            body += b"".join(iter(lambda: source.read(1 << 20), b""))
            member = source.finish()
            warned = {entry["object"]: entry["text"] for entry in session.facts["warnings"]}
    sums = Counter[str]()
    for run in archive.Reader(iter([body])).runs():
        sums[run.namespace[1]] += sum(bson.decode(document)["b"] for document in run.documents())
    is_apart = version == "4.4"
    assert sums == {"early": 0, "late": 20 if is_apart else 0}
    assert ("consistency" in warned) is is_apart
    assert ("at one instant" in member["consistency"]) is is_apart
    assert (member["instant"] is None) is is_apart
    assert "cannot be told which collection" in warned["restore"]


class LaterClock(SystemClock):
    """Time that a test lets pass."""

    later = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.later


def test_dumps_at_the_same_time_keep_each_others_history(mongodb: MongoServer) -> None:
    def kept() -> int:
        return int(mongodb.client().admin.command({"getParameter": 1, WINDOW: 1})[WINDOW])

    before, clock = kept(), LaterClock()
    with connect(mongodb.address) as connection:
        first, second = (
            History(connection, Log().attempt(name), clock) for name in ("first", "second")
        )
        clock.later = 500
        second.keep()
        first.keep()
        first.close()
        second.keep()
        assert kept() >= 800
        second.close()
    assert kept() == before


def test_a_user_who_may_not_keep_history_is_told_at_once(mongodb: MongoServer) -> None:
    client, log = mongodb.client(), Log()
    client.main.a.insert_one({})
    client.admin.command("createUser", "keeper", pwd="k", roles=["backup"])
    take(mongodb.address_of("keeper", "k"), log=log)
    assert any("our user may not raise it" in line for line in log.lines)


def test_a_count_that_was_stopped_is_none(
    mongodb: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = mongodb.client().main
    for name in ("one", "two"):
        main[name].insert_one({})
    began, over = threading.Event(), threading.Event()

    def count(*_: object) -> int:
        began.set()
        over.wait()
        return 1

    monkeypatch.setattr(source_module, "count", count)
    with begun(mongodb.address) as (_, source):
        while source.read(1 << 20):
            pass
        began.wait()
        source.close()
        over.set()
        with pytest.raises(EvidenceMissing, match="not counted to the end"):
            source.finish()


@pytest.mark.slow
def test_history_that_is_too_short_is_named_or_kept(start_mongodb: StartMongo) -> None:
    server = start_mongodb("forgetful", options=("--setParameter", f"{WINDOW}=5"))
    server.wipe()
    client = server.client()
    client.main.stock.insert_many({"_id": n} for n in range(500))
    client.admin.command("createUser", "keeper", pwd="k", roles=["backup"])
    client.admin.command("createUser", "host", pwd="h", roles=["backup", "hostManager"])
    parameter = {"getParameter": 1, WINDOW: 1}
    with begun(server.address_of("host", "h")) as (_, source):
        assert client.admin.command(parameter)[WINDOW] >= 300
        write_for(client, 8)
        finish(source)
    assert client.admin.command(parameter)[WINDOW] == 5
    with begun(server.address_of("keeper", "k")) as (_, source):
        write_for(client, 8)
        with pytest.raises(EvidenceMissing, match=r"keeps 5 seconds of the past.*hostManager"):
            finish(source)


def write_for(client: Any, seconds: float) -> None:
    """Writes, which lets a server forget."""
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        client.main.stock.update_one({"_id": 1}, {"$inc": {"n": 1}})
        client.main.command(
            {"insert": "more", "documents": [{}], "writeConcern": {"w": "majority"}}
        )
        time.sleep(0.05)
