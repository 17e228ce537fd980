"""The law of engines: what each claims, and that every kind of its backups comes back as it was.

Each engine x type and compression x managed or attached: a source with every awkward feature of
the engine is backed up through the API, restored into an empty instance and compared by the
engine's own comparer. Engines come from `fixtures/benches.py`, and the registry must have no other.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.benches import BENCHES, Bench, Instance
from fixtures.holdfast import Api, Server, await_backup, await_that, fresh, start_holdfast
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import Countable, Dumpable, Engine, Hostable, Snapshottable
from holdfast.contracts.files import Rooted
from holdfast.contracts.foreign import Adoptable, Importable
from holdfast.domain.errors import EvidenceMissing, Invalid
from holdfast.engines.registry import ENGINES

BILLING = {"deploymentPlan": "any", "storage": 1024, "replicas": 1}
PLACES = ("managed", "attached")
FAST = {
    ("postgresql", "dump-zstd", "attached"),
    ("mariadb", "dump-zstd", "attached"),
    ("mariadb", "dump-gz", "managed"),
    ("redis", "snapshot", "managed"),
    ("sqlite", "dump-gz", "attached"),
}
"""What every run proves; the slow one proves the rest."""


@dataclass(frozen=True)
class Stage:
    """An installation that may touch files and finds every server."""

    server: Server
    fixtures: Callable[[str], Any]

    @property
    def api(self) -> Api:
        return self.server.api()


@pytest.fixture(scope="module")
def bench_files() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-files-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, valkey_path: str, bench_files: Path) -> Iterator[Stage]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    server = start_holdfast(home, PATH=valkey_path, HOLDFAST_SQLITE_ROOTS=str(bench_files))
    try:
        yield Stage(server, request.getfixturevalue)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _cases() -> Iterator[Any]:
    for name, bench in BENCHES.items():
        for form in bench.forms:
            for place in PLACES if bench.managed_version else PLACES[1:]:
                marks = () if (name, form, place) in FAST else pytest.mark.slow
                yield pytest.param(name, form, place, marks=marks, id=f"{name}-{form}-{place}")


@pytest.mark.parametrize(("name", "form", "place"), list(_cases()))
def test_a_backup_comes_back_as_it_was(stage: Stage, name: str, form: str, place: str) -> None:
    bench, api = BENCHES[name], stage.api
    project = api.project()
    kind, _, compression = form.partition("-")
    # A server of somebody else is not put back to a snapshot: a managed one takes it.
    into = "managed" if kind == "snapshot" and bench.managed_version else place
    with (
        opened(stage, bench, project, place, "source") as (source, had),
        opened(stage, bench, project, into, "target") as (target, gets),
    ):
        had.fill()
        before = had.found()
        assert len(before) > 2
        body = {"name": fresh("B"), "backupType": kind}
        body |= {"compressionType": compression} if compression else {}
        backup = api.post(f"{source}/backups", body).data["id"]
        await_backup(api, f"{source}/backups/{backup}")
        evidence = api.get(f"{source}/backups/{backup}/evidence").data
        assert all(check["passed"] for check in evidence["checks"])
        restore(api, source, target, backup)
        assert gets.found() == before


@contextmanager
def opened(
    stage: Stage, bench: Bench, project: str, place: str, role: str
) -> Iterator[tuple[str, Instance]]:
    """An addon and what is behind it; both are gone afterwards."""
    with ExitStack() as stack:
        body: dict[str, Any] = {"name": fresh(role), "type": bench.kind}
        instance: Instance | None = None
        if place == "attached":
            instance = stack.enter_context(bench.attached(stage.fixtures, role))
            body["connectionString"] = instance.url
        else:
            body |= {"version": bench.managed_version, "billing": BILLING}
        made = stage.api.post(f"/projects/{project}/addons", body).data
        path = f"/projects/{project}/addons/{made['id']}"
        stack.callback(lambda: stage.api.delete(path))
        await_that(lambda: stage.api.get(path).data["status"] == "running")
        if instance is None:
            secrets = stage.api.get(f"{path}/credentials").data["secrets"]
            instance = bench.managed(stage.fixtures, secrets)
        yield path, instance


def restore(api: Api, source: str, target: str, backup: str) -> None:
    _, _, project, _, addon = source.split("/")
    origin = {"sourceProjectId": project, "sourceAddonId": addon}
    path = f"{target}/backups/{backup}"
    begun = api.post(f"{path}/restore", params=origin).data["restoreId"]

    def over() -> Any:
        listed = api.get(f"{path}/restores", **origin).data["restores"]
        found = next(each for each in listed if each["id"] == begun)
        return found if found.get("completedAt") else None

    found = await_that(over, 120)
    assert found["status"] == "completed", found


def test_every_engine_is_on_the_bench() -> None:
    assert {bench.kind for bench in BENCHES.values()} == set(ENGINES)


@pytest.mark.parametrize("name", BENCHES)
def test_it_has_the_capabilities_that_it_claims(name: str, tmp_path: Path) -> None:
    bench = BENCHES[name]
    engine = bench.engine(tmp_path)
    dumps = any(form.startswith("dump") for form in bench.forms)
    assert engine.kind == bench.kind
    assert isinstance(engine, Countable)
    assert isinstance(engine, Dumpable) == dumps
    assert isinstance(engine, Snapshottable) == ("snapshot" in bench.forms)
    assert isinstance(engine, Hostable) == (bench.managed_version is not None)
    assert isinstance(engine, Rooted) == (bench.managed_version is None)
    assert isinstance(engine, Importable) == dumps
    assert isinstance(engine, Importable | Adoptable)


@pytest.mark.parametrize("name", BENCHES)
def test_what_is_no_connection_string_is_invalid(name: str, tmp_path: Path) -> None:
    engine = BENCHES[name].engine(tmp_path)
    for text in ("", "nonsense", *BENCHES[name].bad_addresses):
        with pytest.raises(Invalid) as caught:
            engine.parse(text)
        assert "connectionString" in caught.value.details, text


FILES = {
    "an empty file": b"",
    "a page": b"<html>not found</html>",
    "zeros": bytes(4096),
    "a zip archive": b"PK\x03\x04" + bytes(100),
    "text": b"Dear reader,\n" * 400,
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("name", BENCHES)
def test_a_file_of_something_else_is_no_import(name: str, what: str, tmp_path: Path) -> None:
    engine = BENCHES[name].engine(tmp_path)
    with pytest.raises(EvidenceMissing, match="the file"):
        take_in(engine, FILES[what])


def take_in(engine: Engine, body: bytes) -> None:
    if isinstance(engine, Importable):
        engine.recognise(body)
        return
    assert isinstance(engine, Adoptable)
    with engine.adopt(iter([body]), Log().attempt(), a_guard()) as session:
        for piece in session.pieces():
            for _ in piece.chunks:
                pass
