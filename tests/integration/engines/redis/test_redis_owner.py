"""The owner of a managed server does not administer it: what reaches the machine is refused."""

import re
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
import redis

from fixtures.holdfast import await_that
from fixtures.installation import installation_home
from fixtures.managed import OWNER, managed_place
from fixtures.postgres import a_guard
from fixtures.redis_servers import FLAVOURS, version_of
from holdfast.contracts.local_servers import ADMIN, SETTLED, LocalServer
from holdfast.engines.redis.client import acl
from holdfast.engines.redis.driver import Redis
from holdfast.engines.redis.hosting import config_file
from holdfast.kit.processes import process

REFUSED = (
    "CONFIG SET dir /tmp",
    "CONFIG SET dbfilename evil.so",
    "CONFIG SET port 1",
    "CONFIG SET bind 0.0.0.0",
    "CONFIG SET requirepass x",
    "CONFIG REWRITE",
    "MODULE LOAD /tmp/evil.so",
    "MODULE UNLOAD x",
    "DEBUG SEGFAULT",
    "DEBUG RELOAD",
    "REPLICAOF 127.0.0.1 1",
    "SLAVEOF 127.0.0.1 1",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "PSYNC ? -1",
    "SYNC",
    "MIGRATE 127.0.0.1 1 k 0 10",
    "FAILOVER",
    "CLUSTER MEET 127.0.0.1 1",
    f"ACL SETUSER {OWNER} +@all",
    f"ACL SETUSER {ADMIN} nopass",
    f"ACL DELUSER {ADMIN}",
    "ACL LOAD",
    "ACL SAVE",
)
_REFUSES = "permission|command not allowed"
SCRIPTS = (
    "return redis.call('CONFIG', 'SET', 'dir', '/tmp')",
    "return redis.call('MODULE', 'LOAD', '/tmp/evil.so')",
    "return redis.pcall('REPLICAOF', '127.0.0.1', '1')",
    "return io.open('/etc/passwd'):read('*a')",
    "return os.execute('true')",
    "return require('io')",
    "return package.loadlib('/lib/x86_64-linux-gnu/liblua5.1.so.0', 'luaopen_io')",
    "return dofile('/etc/passwd')",
    "return loadfile('/etc/passwd')()",
)


@pytest.fixture(params=FLAVOURS)
def place(redis_engine: Redis, request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with installation_home() as home:
        directory = home / "installation" / "addon" / "data"
        directory.parent.mkdir(parents=True)
        for parent in directory.parents[:2]:
            parent.chmod(0o711)
        made = managed_place(directory, version_of(redis_engine, request.param), 65_301)
        yield made
        redis_engine.stop(made)


def start(engine: Redis, place: LocalServer) -> None:
    with place.directory.with_name("log").open("ab") as log:
        process.start_detached(engine.command(place), log)
    await_that(lambda: engine.ready(place))


def client(
    place: LocalServer, user: str | None = OWNER, password: str | None = None
) -> redis.Redis:
    secret = password or place.password.reveal()
    return redis.Redis(port=place.port, username=user, password=secret, decode_responses=True)


def require_confined(place: LocalServer) -> None:
    for user in (OWNER, "default"):
        session = client(place, user)
        for command in REFUSED:
            with pytest.raises(redis.ResponseError) as refused:
                session.execute_command(*command.split())
            assert re.search(_REFUSES, str(refused.value)), (command, refused.value)
        for script in SCRIPTS:
            try:
                said = session.eval(script, 0)
            except redis.ResponseError:
                continue
            raise AssertionError((script, said))
        assert session.set("k", "v")
        assert session.info()["redis_version"]
        assert session.config_get("maxmemory")
        assert session.keys() == ["k"]
        session.flushall()


def test_what_reaches_the_machine_is_refused(redis_engine: Redis, place: LocalServer) -> None:
    redis_engine.initialise(place)
    start(redis_engine, place)
    require_confined(place)
    pid = redis_engine.running(place)
    listening = {
        each.laddr.ip
        for each in psutil.Process(pid).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_an_old_server_is_changed(redis_engine: Redis, place: LocalServer) -> None:
    """Its owner had every right, and gave them on."""
    old = replace(place, admin=None)
    redis_engine.initialise(old)
    start(redis_engine, old)
    session = client(old)
    session.set("kept", "1")
    session.execute_command("ACL", "SETUSER", "strong", "on", ">strong", "~*", "&*", "+@all")
    session.execute_command("ACL", "SETUSER", "split", "on", ">split", "+get", "(~* +@all)")
    session.execute_command("ACL", "SAVE")
    session.execute_command("CONFIG", "REWRITE")
    redis_engine.stop(old)
    path = place.directory / config_file.FILE
    path.write_text(path.read_text() + "loadmodule /tmp/evil.so\nbind 0.0.0.0\n")
    redis_engine.settle(place, a_guard())
    redis_engine.settle(place, a_guard())
    assert (place.directory / SETTLED).exists()
    start(redis_engine, place)
    assert client(place).getdel("kept") == "1"
    for user in ("strong", "split"):
        weak = client(place, user, user)
        for command in ("CONFIG SET dir /tmp", "MODULE LOAD /tmp/x.so", "REPLICAOF NO ONE"):
            with pytest.raises(redis.ResponseError, match=_REFUSES):
                weak.execute_command(*command.split())
        assert weak.get("kept") is None
    require_confined(place)


def test_users_of_a_snapshot_get_no_more(place: LocalServer) -> None:
    text = acl.confine_users(
        f"user {ADMIN} on nopass ~* +@all\nuser a on #00 ~* +@all (+@all ~b)\n", place
    )
    assert "nopass" not in text
    assert "user a on #00 ~* +@all (+@all ~b -@admin -migrate -restore-asking) -@admin" in text
    assert acl.confine_users(text, place).count(f"user {ADMIN}") == 1
