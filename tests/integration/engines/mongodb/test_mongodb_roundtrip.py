"""The zoo dumped and restored: beside, onto itself, onto something else, and undone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.holdfast import await_that
from fixtures.mongodb import OTHERS, MongoServer, StartMongo
from fixtures.mongodb_data import can_log_in, differences, fill, fingerprint, leftovers, wipe
from fixtures.mongodb_dumps import TakenMongo, restore, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.drills import Content
from holdfast.contracts.engine import Scope
from holdfast.domain.errors import PreflightRefused, RestoreDiffers
from holdfast.engines.mongodb.drills import content
from holdfast.engines.mongodb.dump import archive
from holdfast.engines.mongodb.restore import preflight, swap
from holdfast.engines.mongodb.restore.staging import Staging

Zoo = tuple[TakenMongo, dict[str, Any]]


@pytest.fixture(scope="module")
def zoo(start_mongodb: StartMongo) -> Zoo:
    """A dump of every awkward feature, and what it was taken of."""
    source = start_mongodb("source")
    source.wipe()
    client = source.client()
    fill(client)
    return take(source.address), fingerprint(client)


def change(client: Any) -> None:
    """Something else under the same names: other kinds, other documents, other users."""
    shop = client.shop
    shop.names.drop()
    shop.names.insert_one({"a collection": "now"})
    shop.log.drop()
    shop.create_collection("log", viewOn="names", pipeline=[])
    shop.orders.delete_many({"_id": {"$lt": 100}})
    shop.extra.insert_one({"not": "in the dump"})
    shop.empty.drop()
    shop.create_collection("empty", timeseries={"timeField": "t"})
    shop.empty.insert_one({"t": datetime.now(UTC)})
    shop.command("dropUser", "anna")
    shop.command("createUser", "anna", pwd="other", roles=[])
    client.admin.command("createUser", "carla", pwd="c", roles=["root"])
    client.metrics.weather.drop()
    client.metrics.weather.insert_one({"_id": 1})
    client["odd-Names"]["system.js"].replace_one({"_id": "twice"}, {"value": 1})
    client.third.things.insert_one({"_id": 1})


def test_everything_comes_back(other_mongodb: MongoServer, zoo: Zoo) -> None:
    taken, before = zoo
    loaded = restore(other_mongodb.address, taken)
    client = other_mongodb.client()
    assert differences(before, fingerprint(client)) == []
    assert leftovers(client) == []
    assert loaded.objects == taken.dump.inventory.objects
    assert sorted(map(str, loaded.tables)) == sorted(map(str, taken.dump.inventory.tables))
    assert can_log_in(client, "anna", "pässword", "shop")
    assert client.shop.orders.find_one({"_id": "old"}) is not None


def test_it_replaces_what_is_there_and_can_be_undone(other_mongodb: MongoServer, zoo: Zoo) -> None:
    taken, before = zoo
    client, log = other_mongodb.client(), Log()
    restore(other_mongodb.address, taken)
    change(client)
    changed = fingerprint(client)
    restore(other_mongodb.address, taken, log, op="kept", keep_old=True)
    now = {key: value for key, value in fingerprint(client).items() if "holdfast_old" not in key}
    del now["user admin.carla"]
    assert differences(before, now) == []
    assert "database third is not in the backup and is dropped" in log.lines
    assert can_log_in(client, "root", "s3cret pa'ss\"wörd\\/@:", "admin")
    for _ in range(2):
        swap.put_back(other_mongodb.address, "kept", log.attempt("undo"), a_guard())
    assert differences(changed, fingerprint(client)) == []
    for _ in range(2):
        swap.drop_aside(other_mongodb.address, "kept", log.attempt("drop"), a_guard())
    assert leftovers(client) == []
    with pytest.raises(RestoreDiffers, match="set aside"):
        swap.put_back(other_mongodb.address, "kept", log.attempt("undo"), a_guard())


def test_others_stay_on_a_server_of_the_users_own(other_mongodb: MongoServer, zoo: Zoo) -> None:
    client = other_mongodb.client()
    client.third.things.insert_one({"_id": 1})
    client.shop.extra.insert_one({"_id": 1})
    for _ in range(2):
        restore(other_mongodb.address, zoo[0], keep_others=True)
    now = fingerprint(client)
    assert now.pop("data third.things")
    del now["options third.things"], now["indexes third.things"]
    assert differences(zoo[1], now) == []


def test_nothing_expires_while_it_is_loaded(
    mongodb: MongoServer, other_mongodb: MongoServer
) -> None:
    """The servers of the tests look for expired documents every second."""
    past = datetime.now(UTC) - timedelta(days=400)
    client = mongodb.client()
    client.main.sessions.insert_many({"_id": n, "seen": past} for n in range(50))
    client.main.command(
        "createIndexes",
        "sessions",
        indexes=[{"key": {"seen": 1}, "name": "ttl", "expireAfterSeconds": 2_000_000_000}],
    )
    taken = take(mongodb.address)
    body = taken.bodies["databases.archive"]
    reader = archive.Reader(iter([body]))
    (meta,) = reader.metas
    soon = replace(meta, metadata=meta.metadata.replace("2000000000", "1"))
    assert soon != meta
    start = len(archive.write_prelude("6.0.5", [meta])) - len(archive.SEPARATOR)
    expired = archive.write_prelude("6.0.5", [soon]) + body[start + len(archive.SEPARATOR) :]
    taken.bodies["databases.archive"] = expired
    attempt = replace(Log().attempt(), number=1)
    target = other_mongodb.client()
    loaded = Staging(other_mongodb.address, taken.dump, attempt, a_guard()).run(taken.fetch)
    assert [table.rows for table in loaded.tables] == [50]
    passes = target.admin.command("serverStatus")["metrics"]["ttl"]["passes"]
    await_that(
        lambda: target.admin.command("serverStatus")["metrics"]["ttl"]["passes"] > passes + 1
    )
    staged = [name for name in target.main.list_collection_names() if name.endswith("_0")]
    assert target.main[staged[0]].count_documents({}) == 50
    swap.swap(other_mongodb.address, attempt, a_guard())
    await_that(lambda: target.main.sessions.count_documents({}) == 0)


def test_one_database_without_users(mongodb: MongoServer) -> None:
    client = mongodb.client()
    client.one.a.insert_one({})
    client.two.a.insert_one({})
    taken = take(mongodb.address, Scope("one", users=False))
    assert [member.name for member in taken.dump.members] == ["databases.archive"]
    assert {table.database for table in taken.dump.inventory.tables} == {"one"}


def test_a_restore_never_locks_its_caller_out(mongodb: MongoServer) -> None:
    """The dump has our user with another id and another password."""
    client = mongodb.client()
    client.main.a.insert_one({})
    taken = take(mongodb.address)
    client.admin.command("updateUser", "root", pwd="changed since")
    address = mongodb.address_of("root", "changed since")
    try:
        restore(address, taken)
        assert can_log_in(
            mongodb.client(username="root", password="changed since"),
            "root",
            "changed since",
            "admin",
        )
    finally:
        again = mongodb.client(username="root", password="changed since")
        again.admin.command("updateUser", "root", pwd="s3cret pa'ss\"wörd\\/@:")


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        (lambda t: t.changed(facts={**t.dump.facts, "server": {"compatibility": "7.0"}}), "lower"),
        (
            lambda t: t.changed(facts={**t.dump.facts, "databases": [{"name": "MAIN", "size": 1}]}),
            "only in case",
        ),
        (
            lambda t: t.changed(
                facts={**t.dump.facts, "databases": [{"name": "x", "size": 1 << 60}]}
            ),
            "no room",
        ),
    ],
)
def test_obstacles_are_named_before_anything_happens(
    other_mongodb: MongoServer, zoo: Zoo, obstacle: Callable[[TakenMongo], TakenMongo], reason: str
) -> None:
    other_mongodb.client().main.a.insert_one({})
    with pytest.raises(PreflightRefused, match=reason):
        preflight.preflight(other_mongodb.address, obstacle(zoo[0]).dump)


def test_missing_rights_are_named(other_mongodb: MongoServer, zoo: Zoo) -> None:
    admin = other_mongodb.client().admin
    admin.command("createUser", "weak", pwd="w", roles=["readWriteAnyDatabase"])
    admin.command(
        "createUser", "enough", pwd="w", roles=["readWriteAnyDatabase", "dbAdminAnyDatabase"]
    )
    with pytest.raises(PreflightRefused, match="dbAdminAnyDatabase"):
        preflight.preflight(other_mongodb.address_of("weak", "w"), zoo[0].dump)
    log = Log()
    restore(other_mongodb.address_of("enough", "w"), zoo[0], log)
    assert any("users and roles stay as they are" in line for line in log.lines)


def test_content_does_not_depend_on_order(mongodb: MongoServer, other_mongodb: MongoServer) -> None:
    for server, order in ((mongodb, 1), (other_mongodb, -1)):
        database = server.client().shop
        database.things.insert_many([{"_id": n, "a": n} for n in range(100)][::order])
        database.empty.insert_one({"_id": 1})
        database.empty.delete_one({"_id": 1})
    read = [contents_of(take(server.address)) for server in (mongodb, other_mongodb)]
    assert read[0] == read[1]
    assert read[0]["shop.things"].rows == 100
    assert read[0].keys() == {"shop.things"}
    other_mongodb.client().shop.things.update_one({"_id": 5}, {"$set": {"a": 6}})
    changed = contents_of(take(other_mongodb.address))
    assert changed["shop.things"].digest != read[0]["shop.things"].digest


def contents_of(taken: TakenMongo) -> Mapping[str, Content]:
    read: dict[str, Content] = {}
    for member in taken.dump.members:
        read |= content.content(member, taken.fetch(member.name))
    return read


@pytest.mark.slow
@pytest.mark.parametrize("version", OTHERS)
def test_older_and_newer_servers(start_mongodb: StartMongo, version: str) -> None:
    """To itself and upwards; downwards is refused."""
    source = start_mongodb("zoo", version)
    newest, client = start_mongodb("target", "6.0"), source.client()
    source.wipe()
    fill(client)
    taken, before = take(source.address), fingerprint(client)
    wipe(client)
    restore(source.address, taken)
    assert differences(before, fingerprint(client)) == []
    newest.wipe()
    restore(newest.address, taken)
    after = fingerprint(newest.client())
    assert [
        line for line in differences(before, after) if not line.startswith(("options", "indexes"))
    ] == []
    if version != "4.4":
        oldest = start_mongodb("target", "4.4")
        oldest.wipe()
        with pytest.raises(PreflightRefused, match="lower"):
            restore(oldest.address, taken)
