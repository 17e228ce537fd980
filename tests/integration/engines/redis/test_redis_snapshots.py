"""Snapshots of real servers: taken while others write, checked, and started again elsewhere."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from fakes.cutting_proxy import cutting
from fixtures.holdfast import free_port
from fixtures.postgres import a_guard
from fixtures.redis_data import DATABASES, fill, fingerprint, known_before
from fixtures.redis_servers import FLAVOURS, RedisServer, running_redis
from fixtures.redis_snapshots import RedisSnapshotter, Taken, inside
from fixtures.unstable import unstable
from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import DIFFERENCES
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    Interrupted,
    NotSupported,
    RestoreDiffers,
)
from holdfast.engines.redis import create
from holdfast.kit.seal import Secret


@pytest.fixture(scope="module", params=FLAVOURS)
def full(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """With every kind of value in it."""
    with running_redis(request.param) as server:
        fill(server.client(), timed_fields=request.param == "valkey")
        server.client().execute_command("ACL", "SETUSER", "bob", "on", ">secret", "~b*", "+get")
        server.client().execute_command(
            "ACL", "SETUSER", "eve", "off", "nopass", "+@read", "~e*", "(+set ~x* ~y*)"
        )
        yield server


def test_facts_say_what_is_in_it(snapshotter: RedisSnapshotter, full: RedisServer) -> None:
    taken = snapshotter.take(full.address)
    counted = {str(db): full.client(db).dbsize() for db in DATABASES}
    assert taken.facts["keys"] == counted
    assert taken.facts["expiring"] == dict.fromkeys(counted, 2)
    assert (taken.facts["functions"], taken.facts["users"], taken.facts["modules"]) == (1, 3, [])
    assert taken.facts["flavour"].lower() == full.flavour
    assert taken.facts["proven"].keys() == {"RDB structure", "RDB checksum", "stock checker"}
    assert f"{full.flavour}-check-rdb" in taken.facts["proven"]["stock checker"]
    tables = {t.database: t.rows for t in snapshotter.engine.inventory(full.address).tables}
    assert tables == counted


@pytest.mark.parametrize("appends", ["yes", "no"])
def test_a_restore_brings_everything_back(
    snapshotter: RedisSnapshotter, full: RedisServer, appends: str
) -> None:
    before = fingerprint(full.client())
    assert len(before) > 60
    taken = snapshotter.take(full.address)
    place = snapshotter.place(full.flavour, appendonly=appends)
    proven = snapshotter.restore(taken, place)
    assert proven["keys"] == taken.facts["keys"]
    assert (proven["users"], proven["usersSetAside"]) == (["bob", "eve"], [])
    assert (place.directory / "appendonlydir").exists() == (appends == "yes")
    for _ in range(2):  # also after another start, with what was written since
        with snapshotter.started(place) as client:
            assert fingerprint(client) == before
            assert client.execute_command("FCALL", "twice", 0, 21) == 42
            bob = redis.Redis(port=place.port, username="bob", password="secret", protocol=2)
            assert bob.get("bits") == client.get("bits")
            with pytest.raises(redis.exceptions.NoPermissionError):
                bob.set("b", 1)
            assert "(" in str(client.acl_list())
    with snapshotter.started(place) as client:
        client.set("after", "restore")
    with snapshotter.started(place) as client:
        assert client.get("after") == b"restore"


SOURCES = {
    "no persistence": {"appendonly": "no"},
    "append only": {"appendonly": "yes"},
    "append only, no preamble": {"appendonly": "yes", "aof_use_rdb_preamble": "no"},
    "to disk first": {"repl_diskless_sync": "no"},
    "without checksum": {"rdbchecksum": "no"},
    "uncompressed": {"rdbcompression": "no"},
}


def _case(name: str) -> Any:
    marks = [] if name in ("append only", "to disk first") else [pytest.mark.slow]
    return pytest.param(SOURCES[name], id=name, marks=marks)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("settings", [_case(name) for name in SOURCES])
def test_the_sources_settings_do_not_matter(
    snapshotter: RedisSnapshotter, flavour: str, settings: dict[str, str]
) -> None:
    with running_redis(flavour, **settings) as server:
        fill(server.client(), timed_fields=flavour == "valkey")
        before = fingerprint(server.client())
        taken = snapshotter.take(server.address)
        assert taken.facts["diskless"] == ("repl_diskless_sync" not in settings)
        assert ("RDB checksum" in taken.facts["proven"]) == ("rdbchecksum" not in settings)
    place = snapshotter.place(flavour)
    snapshotter.restore(taken, place)
    with snapshotter.started(place) as client:
        assert fingerprint(client) == before


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_was_acknowledged_before_is_in_it_and_nothing_torn(
    snapshotter: RedisSnapshotter, flavour: str
) -> None:
    """A writer numbers its transactions; the copy must hold a prefix of them."""
    with running_redis(flavour, appendonly="yes") as server:
        acknowledged, stop = [0], threading.Event()

        def work() -> None:
            client = server.client()
            while not stop.is_set():
                number = acknowledged[0] + 1
                batch = client.pipeline(transaction=True)
                batch.set("last", number).set(f"n:{number}", "x" * 200).rpush("all", number)
                batch.execute()
                acknowledged[0] = number

        writer = threading.Thread(target=work)
        writer.start()
        try:
            while acknowledged[0] < 2000:
                time.sleep(0.01)
            before = acknowledged[0]
            taken = snapshotter.take(server.address, rate=256)
            after = acknowledged[0]
        finally:
            stop.set()
            writer.join()
    place = snapshotter.place(flavour)
    snapshotter.restore(taken, place)
    with snapshotter.started(place) as client:
        last = int(client.get("last"))
        assert before <= last <= after
        assert after > before
        assert client.lrange("all", 0, -1) == [b"%d" % n for n in range(1, last + 1)]
        assert client.dbsize() == last + 2


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_keys_whose_time_has_come_are_counted_and_gone(
    snapshotter: RedisSnapshotter, flavour: str
) -> None:
    with running_redis(flavour) as server:
        client = server.client()
        client.config_set("hz", 1)
        for number in range(50):
            client.set(f"soon:{number}", "v", px=400)
            client.set(f"stays:{number}", "v")
        taken = snapshotter.take(server.address)
    time.sleep(0.5)  # the time of the keys, which nothing announces
    place = snapshotter.place(flavour)
    assert taken.facts["keys"] == {"0": 100}
    snapshotter.restore(taken, place)
    with snapshotter.started(place) as client:
        assert client.get("soon:1") is None
        assert client.get("stays:1") == b"v"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_more_databases_and_an_empty_server(snapshotter: RedisSnapshotter, flavour: str) -> None:
    with running_redis(flavour, databases="40") as server:
        empty = snapshotter.take(server.address)
        server.client(39).set("far", "out")
        taken = snapshotter.take(server.address)
    for snapshot, keys in ((empty, {}), (taken, {"39": 1})):
        place = snapshotter.place(flavour)
        assert snapshot.facts["keys"] == keys
        snapshotter.restore(snapshot, place)
        with snapshotter.started(place):
            number = 39 if keys else 0
            assert inside(place, number).get("far") == (b"out" if keys else None)


def test_an_older_redis_goes_into_a_newer_valkey_but_not_back(
    snapshotter: RedisSnapshotter,
) -> None:
    with running_redis("redis") as old:
        fill(old.client(), timed_fields=False)
        before = fingerprint(old.client())
        taken = snapshotter.take(old.address)
    place = snapshotter.place("valkey")
    snapshotter.restore(taken, place)
    with snapshotter.started(place) as client:
        found = fingerprint(client)
        assert {k: v for k, v in found.items() if k != "functions"} == {
            k: v for k, v in before.items() if k != "functions"
        }
        assert client.execute_command("FCALL", "twice", 0, 21) == 42
        newer = snapshotter.take(
            replace(old.address, port=place.port, user="holdfast", password=Secret("pw"))
        )
    (problem,) = snapshotter.engine.obstacles(snapshotter.place("redis"), newer.manifest)
    assert "does not read VALKEY080" in problem
    assert snapshotter.engine.runs_as(place, taken.version) == place.version


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "series", "writes"),
    [("redis", "8.0", "REDIS0012"), ("newest-redis", "8.6", "REDIS0013")],
)
def test_an_older_redis_goes_into_a_newer_one_but_not_back(
    snapshotter: RedisSnapshotter, redis_root: Path, name: str, series: str, writes: str
) -> None:
    newest = RedisSnapshotter(create(unstable(name)), redis_root)
    with running_redis("redis") as old:
        fill(old.client(), timed_fields=False)
        before = fingerprint(old.client())
        taken = newest.take(old.address)
    place = newest.place("redis")
    assert place.version.startswith(series)
    newest.restore(taken, place)
    with newest.started(place) as client:
        assert known_before(fingerprint(client)) == before
        address = Address("127.0.0.1", place.port, "holdfast", Secret("pw"), "0")
        client.execute_command("HSET", "fields", "a", "1", "b", "2")
        client.execute_command("HPEXPIRE", "fields", 3_600_000, "FIELDS", 1, "a")
        newer = newest.take(address)
    again = newest.place("redis")
    newest.restore(newer, again)
    with newest.started(again) as client:
        first, second = client.execute_command("HPTTL", "fields", "FIELDS", 2, "a", "b")
        assert 0 < first <= 3_600_000
        assert second == -1
    (problem,) = snapshotter.engine.obstacles(snapshotter.place("redis"), newer.manifest)
    assert f"does not read {writes}" in problem


@pytest.mark.slow
def test_valkey_8_stands_between_redis_7_and_valkey_9(
    snapshotter: RedisSnapshotter, redis_root: Path
) -> None:
    between = RedisSnapshotter(create(unstable("valkey")), redis_root)
    with running_redis("redis") as old:
        fill(old.client(), timed_fields=False)
        before = fingerprint(old.client())
        taken = between.take(old.address)
    place = between.place("valkey")
    assert place.version.startswith("8.1")
    between.restore(taken, place)
    with between.started(place) as client:
        assert fingerprint(client) == before
        newer = between.take(Address("127.0.0.1", place.port, "holdfast", Secret("pw"), "0"))
    after = snapshotter.place("valkey")
    assert after.version.startswith("9.")
    snapshotter.restore(newer, after)
    with snapshotter.started(after) as client:
        assert fingerprint(client) == before
    (problem,) = snapshotter.engine.obstacles(snapshotter.place("redis"), newer.manifest)
    assert "does not read REDIS0011" in problem


def test_missing_rights_are_named(snapshotter: RedisSnapshotter, full: RedisServer) -> None:
    client = full.client()
    for rules, missing in (
        (("+@all", "-psync"), "+psync."),
        (("+@all", "-replconf"), "+replconf."),
        (("+info",), "+replconf +psync."),
    ):
        client.execute_command("ACL", "SETUSER", "low", "reset", "on", ">low", "~*", *rules)
        address = replace(full.address, user="low", password=Secret("low"))
        assert snapshotter.engine.probe(address).flavour.lower() == full.flavour
        with pytest.raises(NotSupported) as caught:
            snapshotter.take(address)
        assert missing in caught.value.message
    rights = ("+info", "+psync", "+replconf")
    client.execute_command("ACL", "SETUSER", "low", "reset", "on", ">low", *rights)
    taken = snapshotter.take(replace(full.address, user="low", password=Secret("low")))
    assert taken.facts["users"] is None
    assert any("+acl|list" in line for line in taken.log)
    assert not (taken.tree / "data" / "users.acl").exists()
    client.execute_command("ACL", "DELUSER", "low")


def test_a_wrong_password_is_refused(snapshotter: RedisSnapshotter, full: RedisServer) -> None:
    address = replace(full.address, user="bob", password=Secret("wrong"))
    for attempt in (snapshotter.engine.probe, snapshotter.take):
        with pytest.raises(AddonRefused, match="password of user bob") as caught:
            attempt(address)
        assert "wrong" not in str(caught.value)
    with pytest.raises(AddonUnavailable):
        snapshotter.engine.probe(replace(full.address, port=free_port()))


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_was_cut_or_spoiled_on_the_way_is_no_snapshot(
    snapshotter: RedisSnapshotter, flavour: str, diskless: str
) -> None:
    with running_redis(flavour, repl_diskless_sync=diskless) as server, cutting(server.port) as way:
        server.client().mset({f"key:{n}": f"value {n}" * 20 for n in range(20_000)})
        address = replace(server.address, port=way.port)
        snapshotter.take(address)
        whole, way.passed = way.passed, 0
        for cut in (whole // 3, whole - 7_000, whole - 6_000):
            way.passed, way.cut = 0, cut
            with pytest.raises((AddonUnavailable, EvidenceMissing)):
                snapshotter.take(address)
        way.cut, way.passed, way.spoil = None, 0, whole // 2
        with pytest.raises(EvidenceMissing):
            snapshotter.take(address)
        way.spoil, way.passed = None, 0
        assert snapshotter.take(address).facts["keys"] == {"0": 20_000}


def test_a_stop_ends_it_at_once(snapshotter: RedisSnapshotter) -> None:
    with running_redis("redis") as server:
        server.client().set("big", b"\x01\x00" * (8 << 20))
        server.client().config_set("rdbcompression", "no")
        guard = a_guard()
        timer = threading.Timer(0.3, lambda: guard.stop(Interrupted("aborted on request")))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(Interrupted):
            snapshotter.take(server.address, rate=512, guard=guard)
        assert time.monotonic() - begun < 5
        begun = time.monotonic()
        snapshotter.take(server.address, rate=8192)
        assert 1.2 < time.monotonic() - begun < 15


def test_users_a_server_does_not_understand_are_set_aside(
    snapshotter: RedisSnapshotter, full: RedisServer
) -> None:
    taken = snapshotter.take(full.address)
    with (taken.tree / "data" / "users.acl").open("a") as file:
        file.write("user odd on nopass ~* +nosuchcommand\n")
    proven = snapshotter.restore(taken, snapshotter.place(full.flavour))
    assert (proven["users"], proven["usersSetAside"]) == (["bob", "eve"], ["odd"])


def _damage_rdb(taken: Taken) -> None:
    path = taken.tree / "data" / "dump.rdb"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(body)


@pytest.mark.parametrize("appends", ["yes", "no"])
def test_a_rehearsal_finds_what_is_damaged(
    snapshotter: RedisSnapshotter, full: RedisServer, appends: str
) -> None:
    taken = snapshotter.take(full.address)
    _damage_rdb(taken)
    with pytest.raises(RestoreDiffers):
        snapshotter.restore(taken, snapshotter.place(full.flavour, appendonly=appends))


def test_a_rehearsal_says_what_differs(snapshotter: RedisSnapshotter, full: RedisServer) -> None:
    taken = snapshotter.take(full.address)
    taken.facts["keys"]["0"] += 1
    (difference,) = snapshotter.restore(taken, snapshotter.place(full.flavour))[DIFFERENCES]
    assert difference.startswith("keys per database")


def test_too_little_memory_is_said_before_keys_are_evicted(
    snapshotter: RedisSnapshotter, full: RedisServer
) -> None:
    taken = snapshotter.take(full.address)
    place = snapshotter.place(full.flavour, maxmemory="2mb", maxmemory_policy="allkeys-lru")
    with pytest.raises(RestoreDiffers, match="maxmemory is 2097152"):
        snapshotter.restore(taken, place)
