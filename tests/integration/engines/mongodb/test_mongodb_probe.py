"""What is said of an attached server, and why one cannot be used."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dns import rrset
from pymongo.synchronous import srv_resolver

from fixtures.certificates import Certified
from fixtures.holdfast import await_that, free_port
from fixtures.mongodb import EVERY_RUN, MongoServer, running_mongodb
from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.mongodb.client import connection
from holdfast.engines.mongodb.client.address import parse
from holdfast.engines.mongodb.client.probe import probe


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up on a server that does not answer after 1 s instead of 10."""
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 1)


def refused(address: Address) -> AddonRefused:
    with pytest.raises(AddonRefused) as caught:
        probe(address)
    return caught.value


def test_a_replica_set(mongodb: MongoServer) -> None:
    mongodb.client().shop.orders.insert_one({"_id": 1})
    facts = probe(parse(mongodb.url))
    assert (facts.version, facts.major, facts.flavour) == (EVERY_RUN, "6.0", "MongoDB")
    assert facts.size > 0
    assert facts.facts == {
        "databases": ["shop"],
        "readOnly": False,
        "replicaSet": "rs0",
        "hosts": [f"127.0.0.1:{mongodb.port}"],
        "consistency": "all databases at one cluster time, capped collections beside it",
        "accounts": True,
        "featureCompatibilityVersion": "6.0",
    }


def test_a_standalone_says_what_it_cannot_promise(standalone_mongodb: MongoServer) -> None:
    facts = probe(standalone_mongodb.address).facts
    assert facts["replicaSet"] is None
    assert "not of one instant: the server is no replica set" in str(facts["consistency"])


def test_each_privilege_that_lacks_is_named(mongodb: MongoServer) -> None:
    admin = mongodb.client().admin
    admin.command("createUser", "r", pwd="p", roles=["readAnyDatabase"])
    failure = refused(mongodb.address_of("r", "p"))
    assert failure.facts["missing"] == ["useUUID on the cluster"]
    assert 'grantRolesToUser(\'r\', [{role: "backup", db: "admin"}])' in failure.message
    admin.command("createUser", "n", pwd="p", roles=[])
    failure = refused(mongodb.address_of("n", "p"))
    assert failure.facts["reason"] == "privilege"
    mongodb.client().shop.command("createUser", "s", pwd="p", roles=["readWrite"])
    in_shop = replace(mongodb.address_of("s", "p"), options={"authSource": "shop"})
    missing = refused(in_shop).facts["missing"]
    assert "find on all databases" in list(missing)  # pyright: ignore
    admin.command("createUser", "b", pwd="p", roles=["backup"])
    assert probe(mongodb.address_of("b", "p")).facts["accounts"] is True


def test_no_login_where_one_is_needed(mongodb: MongoServer) -> None:
    assert refused(mongodb.address_of("", "")).facts["reason"] == "privilege"


@pytest.fixture
def pair() -> Iterator[tuple[MongoServer, MongoServer]]:
    """A set of a primary and a secondary, without passwords."""
    with running_mongodb(login=False, host="localhost") as primary:
        home = Path(tempfile.mkdtemp(prefix="hf-mongo-"))
        secondary = MongoServer(EVERY_RUN, home, free_port(), login=False)
        try:
            secondary.start(joins=True)
            admin = primary.client().admin
            config = admin.command("replSetGetConfig")["config"]
            config["version"] += 1
            host = f"localhost:{secondary.port}"
            config["members"].append({"_id": 1, "host": host, "priority": 0, "votes": 0})
            admin.command("replSetReconfig", config)
            other = secondary.client().admin
            await_that(lambda: other.command("hello")["secondary"])
            yield primary, secondary
        finally:
            secondary.stop(kill=True)
            shutil.rmtree(home, ignore_errors=True)


def test_the_primary_is_found_or_named(
    pair: tuple[MongoServer, MongoServer], monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    primary, secondary = pair
    failure = refused(secondary.address)
    assert failure.facts["reason"] == "secondary"
    assert f"that is localhost:{primary.port}" in failure.message
    url = f"mongodb://127.0.0.1:{secondary.port}/?replicaSet="
    assert probe(parse(f"{url}rs0")).facts["readOnly"] is False
    assert "rs0, not to other" in refused(parse(f"{url}other")).message
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *more: Any, **options: Any) -> Any:
        if host == "localhost":
            raise socket.gaierror(-2, "Name or service not known")
        return resolve(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    failure = refused(parse(f"{url}rs0"))
    assert failure.facts["reason"] == "hosts"
    assert f"localhost:{primary.port}" in failure.message
    assert "directConnection=true" in failure.message


def test_hosts_of_an_srv_record(mongodb: MongoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *more: Any, **options: Any) -> Any:
        name = "127.0.0.1" if host == "one.db.example.com" else host
        return resolve(name, *more, **options)

    def answer(name: str, kind: str, **options: Any) -> Any:
        del options
        texts = [f"0 0 {mongodb.port} one.db.example.com."] if kind == "SRV" else []
        records = rrset.from_text(f"{name}.", 600, "IN", kind, *texts)
        return type("Answer", (list,), {"rrset": records})(records)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(srv_resolver, "_resolve", answer)
    login = mongodb.url.removeprefix("mongodb://").partition("@")[0]
    assert probe(parse(f"mongodb+srv://{login}@db.example.com/?tls=false")).version == EVERY_RUN


def test_names_that_no_dns_knows(hasty: None) -> None:
    with pytest.raises(AddonUnavailable, match="no answer from"):
        probe(parse("mongodb+srv://u:p@db.example.invalid/"))


def test_certificates_are_verified(certified: Certified, tmp_path: Path, hasty: None) -> None:
    both = tmp_path / "both.pem"
    both.write_text(certified.certificate.read_text() + certified.key.read_text())
    tls = {"tls": True, "tlsCAFile": str(certified.authority)}
    options = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(both))
    with running_mongodb(login=False, replica_set="", options=options, tls=tls) as server:
        url = f"mongodb://127.0.0.1:{server.port}/"
        trusted = f"tls=true&tlsCAFile={certified.authority}"
        assert probe(parse(f"{url}?{trusted}")).version == EVERY_RUN
        assert probe(parse(f"{url}?tls=true&tlsAllowInvalidCertificates=true")).version
        failure = refused(parse(f"{url}?tls=true"))
        assert failure.facts["reason"] == "tls"
        assert "certificate verify failed" in failure.message
        other = url.replace("127.0.0.1", "localhost")  # the certificate is for the address
        assert refused(parse(f"{other}?{trusted}")).facts["reason"] == "tls"
        assert probe(parse(f"{other}?{trusted}&tlsAllowInvalidHostnames=true")).version
        with pytest.raises(AddonUnavailable):
            probe(parse(url))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"msg": "isdbgrid"}, "sharded"),
        ({"ferretdb": {"version": "2.0"}}, "flavour"),
        ({"version": "4.2.1"}, "version"),
    ],
)
def test_other_kinds_of_servers_are_refused(
    mongodb: MongoServer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reason: str
) -> None:
    _replies(monkeypatch, changes)
    assert refused(mongodb.address).facts["reason"] == reason


def test_newer_versions_are_not_refused(
    mongodb: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replies(monkeypatch, {"version": "8.0.4"})
    newer = probe(mongodb.address)
    assert (newer.version, newer.major) == ("8.0.4", "8.0")
    assert "newer than what Holdfast was tried with" in str(newer.facts["unproven"])


def _replies(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    command = connection.Connection.command

    def changed(self: Any, database: str, request: Any, *more: Any) -> Any:
        reply = command(self, database, request, *more)
        return {**reply, **changes} if {"hello", "buildInfo"} & {*request} else reply

    monkeypatch.setattr(connection.Connection, "command", changed)
