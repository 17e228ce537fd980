"""Snapshots of real servers: taken while others write, checked, and started again elsewhere."""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from fakes.cutting_proxy import cutting
from fixtures.holdfast import free_port
from fixtures.physical import write
from fixtures.postgres import Log, a_guard
from fixtures.redis_data import DATABASES, fill, fingerprint, known_before
from fixtures.redis_servers import FLAVOURS, RedisServer, running_redis, version_of
from fixtures.unstable import unstable
from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import DIFFERENCES, LocalServer
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    Interrupted,
    NotSupported,
    RestoreDiffers,
)
from holdfast.engines.redis import create
from holdfast.engines.redis.driver import Redis
from holdfast.engines.redis.hosting import config_file
from holdfast.kit.processes import process
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret


@dataclass
class Taken:
    """A snapshot as files, with what the engine said about it."""

    tree: Path
    facts: Mapping[str, Any]
    version: str
    log: list[str]

    @property
    def manifest(self) -> Mapping[str, Any]:
        return {"facts": self.facts, "version": self.version}


@pytest.fixture
def room() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="hf-redis-room-"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@dataclass
class Hands:
    """The engine, as jobs use it."""

    engine: Redis
    room: Path

    def take(self, address: Address, rate: int | None = None, guard: Guard | None = None) -> Taken:
        tree, log = Path(tempfile.mkdtemp(dir=self.room)), Log()
        with self.engine.snapshot(address, log.attempt(), guard or a_guard(), rate) as session:
            for piece in session.pieces():
                write(tree, piece)
        facts = json.loads(json.dumps(session.facts))
        taken = Taken(tree, facts, self.engine.probe(address).version, log.lines)
        (tree / "holdfast").mkdir()
        (tree / "holdfast" / "manifest.json").write_text(json.dumps(taken.manifest))
        return taken

    def place(self, flavour: str, **settings: str) -> LocalServer:
        home = Path(tempfile.mkdtemp(dir=self.room))
        home.chmod(0o755)
        version = version_of(self.engine, flavour)
        place = LocalServer(
            home / "data", free_port(), version, "holdfast", Secret("pw"), "defaultdb"
        )
        self.engine.initialise(place)
        for name, value in settings.items():
            config_file.append(place.directory / config_file.FILE, name.replace("_", "-"), value)
        return place

    def restore(self, taken: Taken, place: LocalServer) -> Mapping[str, object]:
        """As a job does it, without a server that runs there already, and whose rehearsed one
        died: an ordinary start reads what lies there."""
        assert self.engine.obstacles(place, taken.manifest) == []
        self.engine.arrange(taken.tree, place)
        self.engine.arrange(taken.tree, place)
        try:
            proven = self.engine.rehearse(taken.tree, place, taken.facts, a_guard())
        finally:
            self.engine.dismiss(taken.tree / "data")
        shutil.rmtree(place.directory)
        (taken.tree / "data").rename(place.directory)
        return proven

    @contextmanager
    def started(self, place: LocalServer) -> Iterator["redis.Redis"]:
        with place.directory.with_name("log").open("ab") as log:
            process.start_detached(self.engine.command(place), log)
        try:
            deadline = time.monotonic() + 20
            while not self.engine.ready(place):
                assert time.monotonic() < deadline, place.directory.with_name("log").read_text()
                time.sleep(0.02)
            yield inside(place)
        finally:
            self.engine.stop(place)


def inside(place: LocalServer, db: int = 0) -> "redis.Redis":
    return redis.Redis(port=place.port, username="holdfast", password="pw", db=db, protocol=2)


@pytest.fixture
def hands(redis_engine: Redis, room: Path) -> Hands:
    return Hands(redis_engine, room)


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


def test_facts_say_what_is_in_it(hands: Hands, full: RedisServer) -> None:
    taken = hands.take(full.address)
    counted = {str(db): full.client(db).dbsize() for db in DATABASES}
    assert taken.facts["keys"] == counted
    assert taken.facts["expiring"] == dict.fromkeys(counted, 2)
    assert (taken.facts["functions"], taken.facts["users"], taken.facts["modules"]) == (1, 3, [])
    assert taken.facts["flavour"].lower() == full.flavour
    assert taken.facts["proven"].keys() == {"RDB structure", "RDB checksum", "stock checker"}
    assert f"{full.flavour}-check-rdb" in taken.facts["proven"]["stock checker"]
    tables = {t.database: t.rows for t in hands.engine.inventory(full.address).tables}
    assert tables == counted


@pytest.mark.parametrize("appends", ["yes", "no"])
def test_a_restore_brings_everything_back(hands: Hands, full: RedisServer, appends: str) -> None:
    before = fingerprint(full.client())
    assert len(before) > 60
    taken = hands.take(full.address)
    place = hands.place(full.flavour, appendonly=appends)
    proven = hands.restore(taken, place)
    assert proven["keys"] == taken.facts["keys"]
    assert (proven["users"], proven["usersSetAside"]) == (["bob", "eve"], [])
    assert (place.directory / "appendonlydir").exists() == (appends == "yes")
    for _ in range(2):  # also after another start, with what was written since
        with hands.started(place) as client:
            assert fingerprint(client) == before
            assert client.execute_command("FCALL", "twice", 0, 21) == 42
            bob = redis.Redis(port=place.port, username="bob", password="secret", protocol=2)
            assert bob.get("bits") == client.get("bits")
            with pytest.raises(redis.exceptions.NoPermissionError):
                bob.set("b", 1)
            assert "(" in str(client.acl_list())
    with hands.started(place) as client:
        client.set("after", "restore")
    with hands.started(place) as client:
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
    hands: Hands, flavour: str, settings: dict[str, str]
) -> None:
    with running_redis(flavour, **settings) as server:
        fill(server.client(), timed_fields=flavour == "valkey")
        before = fingerprint(server.client())
        taken = hands.take(server.address)
        assert taken.facts["diskless"] == ("repl_diskless_sync" not in settings)
        assert ("RDB checksum" in taken.facts["proven"]) == ("rdbchecksum" not in settings)
    place = hands.place(flavour)
    hands.restore(taken, place)
    with hands.started(place) as client:
        assert fingerprint(client) == before


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_was_acknowledged_before_is_in_it_and_nothing_torn(hands: Hands, flavour: str) -> None:
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
            taken = hands.take(server.address, rate=256)
            after = acknowledged[0]
        finally:
            stop.set()
            writer.join()
    place = hands.place(flavour)
    hands.restore(taken, place)
    with hands.started(place) as client:
        last = int(client.get("last"))
        assert before <= last <= after
        assert after > before
        assert client.lrange("all", 0, -1) == [b"%d" % n for n in range(1, last + 1)]
        assert client.dbsize() == last + 2


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_keys_whose_time_has_come_are_counted_and_gone(hands: Hands, flavour: str) -> None:
    with running_redis(flavour) as server:
        client = server.client()
        client.config_set("hz", 1)
        for number in range(50):
            client.set(f"soon:{number}", "v", px=400)
            client.set(f"stays:{number}", "v")
        taken = hands.take(server.address)
    time.sleep(0.5)  # the time of the keys, which nothing announces
    place = hands.place(flavour)
    assert taken.facts["keys"] == {"0": 100}
    hands.restore(taken, place)
    with hands.started(place) as client:
        assert client.get("soon:1") is None
        assert client.get("stays:1") == b"v"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_more_databases_and_an_empty_server(hands: Hands, flavour: str) -> None:
    with running_redis(flavour, databases="40") as server:
        empty = hands.take(server.address)
        server.client(39).set("far", "out")
        taken = hands.take(server.address)
    for snapshot, keys in ((empty, {}), (taken, {"39": 1})):
        place = hands.place(flavour)
        assert snapshot.facts["keys"] == keys
        hands.restore(snapshot, place)
        with hands.started(place):
            number = 39 if keys else 0
            assert inside(place, number).get("far") == (b"out" if keys else None)


def test_an_older_redis_goes_into_a_newer_valkey_but_not_back(hands: Hands) -> None:
    with running_redis("redis") as old:
        fill(old.client(), timed_fields=False)
        before = fingerprint(old.client())
        taken = hands.take(old.address)
    place = hands.place("valkey")
    hands.restore(taken, place)
    with hands.started(place) as client:
        found = fingerprint(client)
        assert {k: v for k, v in found.items() if k != "functions"} == {
            k: v for k, v in before.items() if k != "functions"
        }
        assert client.execute_command("FCALL", "twice", 0, 21) == 42
        newer = hands.take(
            replace(old.address, port=place.port, user="holdfast", password=Secret("pw"))
        )
    (problem,) = hands.engine.obstacles(hands.place("redis"), newer.manifest)
    assert "does not read VALKEY080" in problem
    assert hands.engine.runs_as(place, taken.version) == place.version


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "series", "writes"),
    [("redis", "8.0", "REDIS0012"), ("newest-redis", "8.6", "REDIS0013")],
)
def test_an_older_redis_goes_into_a_newer_one_but_not_back(
    hands: Hands, room: Path, name: str, series: str, writes: str
) -> None:
    newest = Hands(create(unstable(name)), room)
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
    (problem,) = hands.engine.obstacles(hands.place("redis"), newer.manifest)
    assert f"does not read {writes}" in problem


@pytest.mark.slow
def test_valkey_8_stands_between_redis_7_and_valkey_9(hands: Hands, room: Path) -> None:
    between = Hands(create(unstable("valkey")), room)
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
    after = hands.place("valkey")
    assert after.version.startswith("9.")
    hands.restore(newer, after)
    with hands.started(after) as client:
        assert fingerprint(client) == before
    (problem,) = hands.engine.obstacles(hands.place("redis"), newer.manifest)
    assert "does not read REDIS0011" in problem


def test_missing_rights_are_named(hands: Hands, full: RedisServer) -> None:
    client = full.client()
    for rules, missing in (
        (("+@all", "-psync"), "+psync."),
        (("+@all", "-replconf"), "+replconf."),
        (("+info",), "+replconf +psync."),
    ):
        client.execute_command("ACL", "SETUSER", "low", "reset", "on", ">low", "~*", *rules)
        address = replace(full.address, user="low", password=Secret("low"))
        assert hands.engine.probe(address).flavour.lower() == full.flavour
        with pytest.raises(NotSupported) as caught:
            hands.take(address)
        assert missing in caught.value.message
    rights = ("+info", "+psync", "+replconf")
    client.execute_command("ACL", "SETUSER", "low", "reset", "on", ">low", *rights)
    taken = hands.take(replace(full.address, user="low", password=Secret("low")))
    assert taken.facts["users"] is None
    assert any("+acl|list" in line for line in taken.log)
    assert not (taken.tree / "data" / "users.acl").exists()
    client.execute_command("ACL", "DELUSER", "low")


def test_a_wrong_password_is_refused(hands: Hands, full: RedisServer) -> None:
    address = replace(full.address, user="bob", password=Secret("wrong"))
    for attempt in (hands.engine.probe, hands.take):
        with pytest.raises(AddonRefused, match="password of user bob") as caught:
            attempt(address)
        assert "wrong" not in str(caught.value)
    with pytest.raises(AddonUnavailable):
        hands.engine.probe(replace(full.address, port=free_port()))


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_was_cut_or_spoiled_on_the_way_is_no_snapshot(
    hands: Hands, flavour: str, diskless: str
) -> None:
    with running_redis(flavour, repl_diskless_sync=diskless) as server, cutting(server.port) as way:
        server.client().mset({f"key:{n}": f"value {n}" * 20 for n in range(20_000)})
        address = replace(server.address, port=way.port)
        hands.take(address)
        whole, way.passed = way.passed, 0
        for cut in (whole // 3, whole - 7_000, whole - 6_000):
            way.passed, way.cut = 0, cut
            with pytest.raises((AddonUnavailable, EvidenceMissing)):
                hands.take(address)
        way.cut, way.passed, way.spoil = None, 0, whole // 2
        with pytest.raises(EvidenceMissing):
            hands.take(address)
        way.spoil, way.passed = None, 0
        assert hands.take(address).facts["keys"] == {"0": 20_000}


def test_a_stop_ends_it_at_once(hands: Hands) -> None:
    with running_redis("redis") as server:
        server.client().set("big", b"\x01\x00" * (8 << 20))
        server.client().config_set("rdbcompression", "no")
        guard = a_guard()
        timer = threading.Timer(0.3, lambda: guard.stop(Interrupted("aborted on request")))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(Interrupted):
            hands.take(server.address, rate=512, guard=guard)
        assert time.monotonic() - begun < 5
        begun = time.monotonic()
        hands.take(server.address, rate=8192)
        assert 1.2 < time.monotonic() - begun < 15


def test_users_a_server_does_not_understand_are_set_aside(hands: Hands, full: RedisServer) -> None:
    taken = hands.take(full.address)
    with (taken.tree / "data" / "users.acl").open("a") as file:
        file.write("user odd on nopass ~* +nosuchcommand\n")
    proven = hands.restore(taken, hands.place(full.flavour))
    assert (proven["users"], proven["usersSetAside"]) == (["bob", "eve"], ["odd"])


def _damage_rdb(taken: Taken) -> None:
    path = taken.tree / "data" / "dump.rdb"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(body)


@pytest.mark.parametrize("appends", ["yes", "no"])
def test_a_rehearsal_finds_what_is_damaged(hands: Hands, full: RedisServer, appends: str) -> None:
    taken = hands.take(full.address)
    _damage_rdb(taken)
    with pytest.raises(RestoreDiffers):
        hands.restore(taken, hands.place(full.flavour, appendonly=appends))


def test_a_rehearsal_says_what_differs(hands: Hands, full: RedisServer) -> None:
    taken = hands.take(full.address)
    taken.facts["keys"]["0"] += 1
    (difference,) = hands.restore(taken, hands.place(full.flavour))[DIFFERENCES]
    assert difference.startswith("keys per database")


def test_too_little_memory_is_said_before_keys_are_evicted(hands: Hands, full: RedisServer) -> None:
    taken = hands.take(full.address)
    place = hands.place(full.flavour, maxmemory="2mb", maxmemory_policy="allkeys-lru")
    with pytest.raises(RestoreDiffers, match="maxmemory is 2097152"):
        hands.restore(taken, place)
