"""A rehearsed server goes on as the addon's own: what it is then, and when it cannot."""

import json
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import redis

from fixtures.holdfast import await_that, free_port
from fixtures.physical import write
from fixtures.postgres import Log, a_guard
from fixtures.redis_data import fill, fingerprint
from fixtures.redis_servers import (
    FLAVOURS,
    NEWER_FLAVOURS,
    newer_flavour,
    running_redis,
    version_of,
)
from fixtures.unstable import unstable
from holdfast.contracts.local_servers import LocalServer, Succeeding
from holdfast.domain.errors import Interrupted
from holdfast.engines.redis import create
from holdfast.engines.redis.driver import Redis
from holdfast.engines.redis.hosting import config_file
from holdfast.kit.processes import process
from holdfast.kit.seal import Secret
from holdfast.usecases.hosting import managed_servers


@dataclass
class Succession:
    """A managed server in use, and a snapshot that is arranged beside it and takes over."""

    engine: Redis
    place: LocalServer
    tree: Path
    facts: Mapping[str, Any]
    before: Mapping[str, Any]

    def client(self, db: int = 0) -> "redis.Redis":
        return redis.Redis(port=self.place.port, username="boss", password="pw", db=db, protocol=2)

    def start(self) -> None:
        assert self.place.log is not None
        with self.place.log.open("ab") as log:
            process.start_detached(self.engine.command(self.place), log)
        await_that(lambda: self.engine.ready(self.place))

    def rehearse(self) -> int:
        self.engine.arrange(self.tree, self.place)
        self.engine.rehearse(self.tree, self.place, self.facts, a_guard())
        waiting = self.beside
        assert waiting is not None
        return waiting

    @property
    def beside(self) -> int | None:
        return self.engine.running(replace(self.place, directory=self.tree / "data"))

    def exchange(self) -> None:
        """As the job does."""
        self.engine.stop(self.place)
        shutil.rmtree(self.place.directory)
        (self.tree / "data").rename(self.place.directory)


def _snapshot(engine: Redis, flavour: str, tree: Path) -> tuple[Any, Any]:
    """One key's time has come, and nobody has removed it."""
    with running_redis(flavour, enable_debug_command="yes") as own:
        fill(own.client(), timed_fields=flavour == "valkey")
        own.client().execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all")
        before = fingerprint(own.client())
        own.client().execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        own.client().set("over", "and gone", px=1)
        with engine.snapshot(own.address, Log().attempt(), a_guard(), None) as session:
            for piece in session.pieces():
                write(tree, piece)
        facts = json.loads(json.dumps(session.facts))
    (tree / "holdfast").mkdir()
    (tree / "holdfast" / "manifest.json").write_text(json.dumps({"facts": facts}))
    return facts, before


both = pytest.mark.parametrize("succession", FLAVOURS, indirect=True)
every = pytest.mark.parametrize(
    "succession",
    [*FLAVOURS, *(pytest.param(newer_flavour(n), marks=pytest.mark.slow) for n in NEWER_FLAVOURS)],
    indirect=True,
)


@pytest.fixture
def succession(request: pytest.FixtureRequest, redis_engine: Redis) -> Iterator[Succession]:
    flavour = getattr(request, "param", "valkey")
    newer = flavour.removeprefix("newer ")
    if newer != flavour:
        redis_engine = create(unstable(newer))
    home = Path(tempfile.mkdtemp(prefix="hf-redis-" + "long-" * 20))
    home.chmod(0o755)
    addon = home / "addons" / "1"
    tree = addon / "restore-1"
    tree.mkdir(parents=True)
    facts, before = _snapshot(redis_engine, flavour, tree)
    version = version_of(redis_engine, newer.rpartition("-")[2])
    place = LocalServer(
        addon / "data", free_port(), version, "boss", Secret("pw"), "db", log=addon / "server.log"
    )
    redis_engine.initialise(place)
    made = Succession(redis_engine, place, tree, facts, before)
    made.start()
    yield made
    redis_engine.stop(place)
    redis_engine.dismiss(tree / "data")
    shutil.rmtree(home, ignore_errors=True)


def _settings(succession: Succession) -> dict[str, str]:
    return dict(succession.client().config_get("*"))


@every
def test_it_becomes_what_an_ordinary_start_makes(succession: Succession) -> None:
    assert isinstance(succession.engine, Succeeding)
    succession.client().config_set("save", "900 7")
    succession.client().config_set("maxmemory-policy", "allkeys-lfu")
    succession.client().config_rewrite()
    waiting = succession.rehearse()
    ours = psutil.Process(waiting)
    assert ours.net_connections("tcp") == []
    assert succession.client().get("text") is None
    succession.exchange()
    assert not succession.engine.ready(succession.place)
    succession.engine.admit(succession.place)
    succession.engine.admit(succession.place)
    assert succession.engine.ready(succession.place)
    assert succession.engine.running(succession.place) == waiting
    assert {each.laddr.ip for each in ours.net_connections("tcp")} == {"127.0.0.1"}
    client = succession.client()
    assert client.get("over") is None
    assert fingerprint(client) == succession.before
    assert client.info("replication")["role"] == "master"
    assert {words.split()[1] for words in client.acl_list()} == {"default", "boss", "app"}
    found, told = _settings(succession), client.info("server")["config_file"]
    assert found["save"] == "900 7"
    client.set("gone", "soon", px=1)
    await_that(lambda: client.execute_command("DBSIZE") == succession.facts["keys"]["0"] - 1)
    client.set("later", "written")
    client.execute_command("ACL", "SETUSER", "new", "on", "nopass")
    client.execute_command("ACL", "SAVE")
    client.config_rewrite()
    client.bgrewriteaof()
    await_that(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    succession.engine.stop(succession.place)
    assert succession.engine.running(succession.place) is None
    succession.start()
    client = succession.client()
    assert client.get("later") == b"written"
    assert _settings(succession) == found
    assert client.info("server")["config_file"] == told
    assert any("user new " in words for words in client.acl_list())


@both
def test_without_a_log_it_serves_and_saves_as_well(succession: Succession) -> None:
    succession.client().config_set("appendonly", "no")
    succession.client().config_rewrite()
    waiting = succession.rehearse()
    succession.exchange()
    succession.engine.admit(succession.place)
    assert succession.engine.running(succession.place) == waiting
    assert fingerprint(succession.client()) == succession.before
    succession.client().set("later", "written")
    succession.engine.stop(succession.place)
    succession.start()
    assert succession.client().get("later") == b"written"
    assert not (succession.place.directory / "appendonlydir").exists()


def test_one_that_died_is_started_as_usual(succession: Succession) -> None:
    psutil.Process(succession.rehearse()).send_signal(signal.SIGKILL)
    succession.exchange()
    succession.engine.admit(succession.place)
    assert succession.engine.running(succession.place) is None
    succession.start()
    assert fingerprint(succession.client()) == succession.before


@both
def test_one_that_cannot_be_opened_is_ended(succession: Succession) -> None:
    succession.rehearse()
    succession.exchange()
    with socket.create_server(("127.0.0.1", succession.place.port)):
        succession.engine.admit(succession.place)
    assert succession.engine.running(succession.place) is None
    succession.start()
    assert fingerprint(succession.client()) == succession.before


def test_a_server_in_use_is_never_ended(succession: Succession) -> None:
    pid = succession.engine.running(succession.place)
    succession.client().execute_command("ACL", "SETUSER", "boss", "-info")
    succession.engine.admit(succession.place)
    assert succession.engine.running(succession.place) == pid
    succession.client().execute_command("ACL", "SETUSER", "boss", "+@all", "-config")
    succession.engine.admit(succession.place)
    assert succession.engine.running(succession.place) == pid
    assert succession.client().ping()


@pytest.mark.parametrize("setting", ["tls-port 0", "replicaof 127.0.0.1 1"])
def test_what_cannot_be_made_afterwards_starts_as_usual(
    succession: Succession, setting: str
) -> None:
    stays = setting.endswith(" 0")
    name, _, value = setting.partition(" ")
    config_file.append(succession.place.directory / config_file.FILE, name, value)
    succession.engine.arrange(succession.tree, succession.place)
    succession.engine.rehearse(succession.tree, succession.place, succession.facts, a_guard())
    assert (succession.beside is not None) == stays


def test_somebody_elses_server_is_not_left_waiting(succession: Succession) -> None:
    succession.engine.arrange(succession.tree, succession.place)
    theirs = replace(succession.place, ours=False, log=None)
    succession.engine.rehearse(succession.tree, theirs, succession.facts, a_guard())
    assert succession.beside is None


def test_what_a_rehearsal_left_is_ended_by_the_next_one_and_by_a_failure(
    succession: Succession,
) -> None:
    first = succession.rehearse()
    assert succession.rehearse() != first
    assert not psutil.pid_exists(first)
    guard = a_guard()
    guard.stop(Interrupted("aborted on request"))
    with pytest.raises(Interrupted):
        succession.engine.rehearse(succession.tree, succession.place, succession.facts, guard)
    assert succession.beside is None


def test_a_setting_of_another_directory_is_not_followed(succession: Succession) -> None:
    """`CONFIG REWRITE` writes the live directory down, and it is not always there."""
    config_file.append(succession.place.directory / config_file.FILE, "dir", "/nowhere/at/all")
    succession.rehearse()
    assert succession.beside is not None


@pytest.mark.parametrize("appends", ["yes", "no"])
def test_a_stop_writes_what_the_next_start_reads(succession: Succession, appends: str) -> None:
    client = succession.client()
    client.config_set("appendonly", appends)
    client.config_rewrite()
    client.config_set("save", "3600 1")
    client.set("kept", "v")
    succession.engine.stop(succession.place)
    assert (succession.place.directory / "dump.rdb").exists() == (appends == "no")
    succession.start()
    assert succession.client().get("kept") == b"v"


@both
def test_a_log_that_is_not_written_yet_is_not_relied_on(succession: Succession) -> None:
    """Switched on a moment ago, it waits behind another child of the server."""
    client = succession.client()
    client.config_set("appendonly", "no")
    client.config_set("rdb-key-save-delay", 20_000)
    client.mset({f"k{n}": n for n in range(500)})
    client.config_rewrite()
    config_file.append(succession.place.directory / config_file.FILE, "appendonly", "yes")
    client.bgsave()
    client.config_set("appendonly", "yes")
    info = client.info("persistence")
    assert (info["aof_enabled"], info["aof_rewrite_scheduled"]) == (1, 1)
    began = time.monotonic()
    client.config_set("rdb-key-save-delay", 0)
    succession.engine.stop(succession.place)
    assert time.monotonic() - began < 60
    assert (succession.place.directory / "dump.rdb").exists()


def test_who_stops_or_removes_everything_ends_it_too(succession: Succession) -> None:
    tools: Any = SimpleNamespace(
        engines=lambda _: succession.engine, data_dir=succession.tree.parents[2]
    )
    addon: Any = SimpleNamespace(kind="redis", uid="1")
    first = succession.rehearse()
    managed_servers.dismiss_waiting(tools, addon)
    assert not psutil.pid_exists(first)
    second = succession.rehearse()
    managed_servers.remove(succession.engine, succession.tree)
    assert not psutil.pid_exists(second)
    assert succession.client().ping()
