"""Managed servers that an older version made and left running: the supervisor changes them once."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixtures.in_process_installation import InProcessInstallation
from fixtures.postgres import TOOLS, a_guard, free_port
from holdfast.catalog import addons
from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import EVERYTHING, Attempt, Dumpable
from holdfast.contracts.local_servers import ADMIN, SETTLED
from holdfast.contracts.snapshots import Snapshottable
from holdfast.daemons.supervisor import Supervisor
from holdfast.domain.addon import AddonStatus, Desired
from holdfast.engines.registry import load_engine
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes import process
from holdfast.kit.seal import Secret
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.toolbox import Toolbox, home_of, server_of

UIDS = range(65_450, 65_460)


@pytest.fixture
def tools(installation: InProcessInstallation, postgres_engine: object) -> Iterator[Toolbox]:
    assert postgres_engine is not None  # its tools are there
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    for directory in (home, home / "addons"):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o711)
    uids = UIDS if os.geteuid() == 0 else None
    made = replace(installation.toolbox, data_dir=home, clock=SystemClock(), server_uids=uids)
    yield replace(made, engines=lambda kind: load_engine(kind, TOOLS))
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=["postgresql", "mysql", "redis"])
def old(
    installation: InProcessInstallation,
    tools: Toolbox,
    new_addon: Callable[[], int],
    request: pytest.FixtureRequest,
) -> Iterator[Addon]:
    """As it was: its owner administers it, and it runs as a user that others have, too."""
    pk, kind = new_addon(), request.param
    engine: Any = tools.engines(kind)
    with installation.catalog.write() as session:
        row = session.get_one(Addon, pk)
        row.kind, row.managed, row.node = kind, True, tools.node
        row.version = next(v for v in engine.versions() if kind != "postgresql" or v[:2] == "15")
        row.user, row.database, row.port = "holdfast", "defaultdb", free_port()
        row.host, row.desired, row.status = "127.0.0.1", Desired.RUNNING, AddonStatus.RUNNING
        row.sealed_password = tools.sealer.seal(Secret("owner's"), addons.context(row.uid))
    addon = fresh(installation, pk)
    home = home_of(tools.data_dir, addon.uid)
    home.mkdir(mode=0o711)
    home.chmod(0o711)
    before = replace(server_of(tools, addon), admin=None, uid=None, cell=None)
    engine.initialise(before)
    with (home / "server.log").open("ab") as log:
        process.start_detached(engine.command(before), log)
    deadline = time.monotonic() + 60
    while not engine.ready(before):
        assert time.monotonic() < deadline, (home / "server.log").read_text()
        time.sleep(0.1)
    yield addon
    managed_servers.stop(tools, fresh(installation, pk))


def fresh(installation: InProcessInstallation, pk: int) -> Addon:
    with installation.catalog.read() as session:
        found = session.get_one(Addon, pk)
        session.expunge_all()
    return found


def test_a_server_of_before_is_changed_while_it_runs(
    installation: InProcessInstallation, tools: Toolbox, old: Addon, tmp_path: Path
) -> None:
    engine: Any = tools.engines(old.kind)
    was = engine.running(server_of(tools, old))
    assert was is not None
    supervisor = Supervisor(tools, tmp_path / "lock")
    for _ in range(3):
        supervisor.round()
        addon = fresh(installation, old.pk)
        assert addon.status == AddonStatus.RUNNING, addon.reason
        place = server_of(tools, addon)
        is_now = engine.running(place)
        assert is_now not in (None, was)
        assert (place.directory / SETTLED).exists()
        if tools.server_uids is not None:
            assert set(psutil.Process(is_now).uids()) == {UIDS[0]} == {addon.server_uid}
            assert place.directory.stat().st_uid == UIDS[0]
    working = addons.working_address(addon, tools.sealer)
    assert (working.user, working.owner) == (ADMIN, "holdfast")
    owners = addons.address(addon, tools.sealer)
    assert engine.secrets(owners)["USERNAME"] == "holdfast"
    engine.probe(working)
    attempt = Attempt("op", "1", lambda _: None)
    if isinstance(engine, Dumpable):
        with engine.dump(working, EVERYTHING, attempt, a_guard()) as dump:
            assert dump.members
    assert isinstance(engine, Snapshottable)
    with engine.snapshot(working, attempt, a_guard(), None) as copy:
        for piece in copy.pieces():
            for _ in piece.chunks:
                pass
        assert copy.facts["files"]
