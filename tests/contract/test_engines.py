"""The law of engines: what each claims, and that every kind of its backups comes back as it was.

Each engine x type and compression x managed or attached: a source with every awkward feature of
the engine is backed up through the API, restored into an empty instance and compared by the
engine's own comparer. The registry must have no engine without a case.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pytest
import redis

from fixtures.conformance import ConformanceInstallation, come_back
from fixtures.engine_cases import DUMPS, ENGINE_CASES, NEWER, newer
from fixtures.holdfast import await_that
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import Countable, Dumpable, Engine
from holdfast.contracts.files import Rooted
from holdfast.contracts.foreign import Importable, Ingestible
from holdfast.contracts.local_servers import Connectable, Hostable
from holdfast.contracts.snapshots import Snapshottable
from holdfast.domain.errors import EvidenceMissing, Invalid
from holdfast.engines.mysql.client import address as mysql_address
from holdfast.engines.registry import ENGINES

PLACES = ("managed", "attached")
FAST = {
    ("postgresql", "dump-zstd", "attached"),
    ("mariadb", "dump-zstd", "attached"),
    ("mariadb", "dump-gz", "managed"),
    ("mongodb", "dump-zstd", "attached"),
    ("redis", "snapshot", "managed"),
    ("sqlite", "dump-gz", "attached"),
}
"""What every run proves; the slow one proves the rest."""


def _cases() -> Iterator[Any]:
    for name, case in ENGINE_CASES.items():
        for form in case.forms:
            for place in PLACES if case.managed_version else PLACES[1:]:
                if (form, place, case.attached_snapshots) == ("snapshot", "attached", False):
                    continue
                marks = () if (name, form, place) in FAST else pytest.mark.slow
                yield pytest.param(name, form, place, marks=marks, id=f"{name}-{form}-{place}")


@pytest.mark.parametrize(("name", "form", "place"), list(_cases()))
def test_a_backup_comes_back_as_it_was(
    conformance: ConformanceInstallation, name: str, form: str, place: str
) -> None:
    come_back(conformance, ENGINE_CASES[name], form, place)


def _newer_cases() -> Iterator[Any]:
    forms = {"mysql": DUMPS[1:], "mariadb": (DUMPS[1], "snapshot")}
    for name in NEWER:
        for form in forms.get(name, ("snapshot",)):
            for place in PLACES:
                yield pytest.param(name, form, place, id=f"{name}-{form}-{place}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form", "place"), list(_newer_cases()))
def test_a_backup_of_a_newer_server_comes_back(
    newer_conformance: ConformanceInstallation, name: str, form: str, place: str
) -> None:
    come_back(newer_conformance, newer(name), form, place)


def test_every_engine_has_a_case() -> None:
    assert {case.kind for case in ENGINE_CASES.values()} == set(ENGINES)


@pytest.mark.parametrize("name", ENGINE_CASES)
def test_it_has_the_capabilities_that_it_claims(name: str, tmp_path: Path) -> None:
    case = ENGINE_CASES[name]
    engine = case.engine(tmp_path)
    dumps = any(form.startswith("dump") for form in case.forms)
    assert engine.kind == case.kind
    assert isinstance(engine, Countable)
    assert isinstance(engine, Dumpable) == dumps
    assert isinstance(engine, Snapshottable) == ("snapshot" in case.forms)
    assert isinstance(engine, Hostable) == (case.managed_version is not None)
    assert isinstance(engine, Connectable) == isinstance(engine, Hostable)
    assert isinstance(engine, Rooted) == (case.managed_version is None)
    assert isinstance(engine, Importable) == dumps
    assert isinstance(engine, Importable | Ingestible)


@pytest.mark.parametrize("name", ENGINE_CASES)
def test_what_is_no_connection_string_is_invalid(name: str, tmp_path: Path) -> None:
    engine = ENGINE_CASES[name].engine(tmp_path)
    for text in ("", "nonsense", *ENGINE_CASES[name].bad_addresses):
        with pytest.raises(Invalid) as caught:
            engine.parse(text)
        assert "connectionString" in caught.value.details, text


@pytest.mark.parametrize("name", ["postgresql", "mariadb", "mongodb", "redis"])
def test_connections_are_counted(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case = ENGINE_CASES[name]
    engine = case.engine(tmp_path)
    assert isinstance(engine, Connectable)
    with case.attached(request.getfixturevalue, "source") as instance:
        address = engine.parse(instance.url)
        with ExitStack() as connections:
            for _ in range(3):
                connections.enter_context(connected(name, instance.url))
            most = engine.connections(address)
            assert most >= 3
        await_that(lambda: engine.connections(address) <= most - 3)


def connected(name: str, url: str) -> AbstractContextManager[Any]:
    """A session that has asked something."""
    if name == "postgresql":
        return closing(psycopg.connect(url))
    if name == "mariadb":
        return mysql_address.connect(mysql_address.parse(url))
    if name == "mongodb":
        mongo: pymongo.MongoClient[Any] = pymongo.MongoClient(url)
        mongo.admin.command("ping")
        return closing(mongo)
    # Its pool is closed with it; a `client()` of another one waits for the garbage collector.
    client = redis.Redis.from_url(url, protocol=2, single_connection_client=True)
    client.ping()
    return closing(client)


FILES = {
    "an empty file": b"",
    "a page": b"<html>not found</html>",
    "zeros": bytes(4096),
    "a zip archive": b"PK\x03\x04" + bytes(100),
    "text": b"Dear reader,\n" * 400,
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("name", ENGINE_CASES)
def test_a_file_of_something_else_is_no_import(name: str, what: str, tmp_path: Path) -> None:
    engine = ENGINE_CASES[name].engine(tmp_path)
    with pytest.raises(EvidenceMissing, match="the file"):
        take_in(engine, FILES[what])


def take_in(engine: Engine, body: bytes) -> None:
    if isinstance(engine, Importable):
        engine.recognise(body)
        return
    assert isinstance(engine, Ingestible)
    with engine.ingest(iter([body]), Log().attempt(), a_guard()) as session:
        for piece in session.pieces():
            for _ in piece.chunks:
                pass
