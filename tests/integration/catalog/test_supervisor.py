"""What becomes of the servers of a machine when Holdfast is stopped there."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.in_process_installation import InProcessInstallation
from holdfast.catalog import addons
from holdfast.catalog.schema import Addon
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.daemons.supervisor import Supervisor
from holdfast.domain.addon import Desired
from holdfast.domain.errors import AddonUnavailable, Permanent
from holdfast.kit.locks import exclusive, try_exclusive
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import Command
from holdfast.kit.seal import Secret
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.toolbox import Toolbox, home_of


@dataclass
class Servers:
    """An engine whose servers run until they are stopped; one does not stop."""

    stubborn: Path = Path()
    trouble: Exception = field(default_factory=Exception)
    stopped: list[Path] = field(default_factory=list)
    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def initialise(self, place: LocalServer) -> None: ...

    def settle(self, place: LocalServer, guard: Guard) -> list[str]:
        raise AssertionError(f"{place.directory} needs nothing before it is stopped, {guard}")

    def command(self, place: LocalServer) -> Command:
        raise AssertionError(f"nothing is started at {place.directory}")

    def ready(self, place: LocalServer) -> bool:
        return self.running(place) is not None

    def running(self, place: LocalServer) -> int | None:
        return None if place.directory in self.stopped else 1

    def stop(self, place: LocalServer) -> None:
        if place.directory == self.stubborn:
            raise self.trouble
        self.meeting.wait(60)
        self.stopped.append(place.directory)


@pytest.fixture
def tools(installation: InProcessInstallation, tmp_path: Path) -> Toolbox:
    servers = Servers()
    return replace(installation.toolbox, data_dir=tmp_path, engines=lambda _: servers)


@pytest.fixture
def new_server(
    installation: InProcessInstallation, tools: Toolbox, new_addon: Callable[[], int]
) -> Callable[..., Path]:
    """A managed addon of this machine, to where it has its data."""

    def make(**state: Any) -> Path:
        pk = new_addon()
        with installation.catalog.write() as session:
            row = session.get_one(Addon, pk)
            row.managed, row.node = True, tools.node
            row.sealed_password = tools.sealer.seal(Secret("s3cr3t"), addons.context(row.uid))
            for name, value in state.items():
                setattr(row, name, value)
            home = home_of(tools.data_dir, row.uid)
        home.mkdir(parents=True)
        return home / "data"

    return make


def stopped(tools: Toolbox) -> list[Path]:
    supervisor = Supervisor(tools, tools.data_dir / "supervisor.lock")
    supervisor.round()
    supervisor.stop_all()
    return tools.engines("postgresql").stopped


def test_every_server_of_this_machine_is_stopped(
    tools: Toolbox, new_server: Callable[..., Path]
) -> None:
    """Also where a pause or a delete has not come to it yet, and none elsewhere."""
    here = [new_server(desired=desired) for desired in Desired]
    new_server(node="another")
    new_server(deleted=1)
    assert sorted(stopped(tools)) == sorted(here)


def test_they_are_stopped_side_by_side(tools: Toolbox, new_server: Callable[..., Path]) -> None:
    """An init system waits 90 s for all of them; here each waits for the others."""
    here = [new_server() for _ in range(6)]
    tools.engines("postgresql").meeting = threading.Barrier(len(here))
    assert sorted(stopped(tools)) == sorted(here)


@pytest.mark.parametrize("trouble", [Permanent("it does not end"), FileNotFoundError("gone")])
def test_one_that_does_not_stop_keeps_nobody(
    tools: Toolbox,
    new_server: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    trouble: Exception,
) -> None:
    here = [new_server() for _ in range(3)]
    engine = tools.engines("postgresql")
    engine.stubborn, engine.trouble = here[1], trouble
    assert sorted(stopped(tools)) == sorted((here[0], here[2]))
    (said,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "left running" in said.message
    assert try_exclusive(tools.data_dir / "supervisor.lock") is not None


def test_nothing_is_made_where_nothing_is(tools: Toolbox, new_server: Callable[..., Path]) -> None:
    home = new_server(desired=Desired.DELETED).parent
    home.rmdir()
    assert stopped(tools) == []
    assert not home.exists()


def test_a_second_process_of_the_machine_stops_nothing(
    tools: Toolbox, new_server: Callable[..., Path]
) -> None:
    new_server()
    with exclusive(tools.data_dir / "supervisor.lock"):
        assert stopped(tools) == []


class Ending(Servers):
    """An engine whose servers end as soon as they are started."""

    def command(self, place: LocalServer) -> Command:
        return Command(["false"], cwd=str(place.directory))

    def running(self, place: LocalServer) -> int | None:
        del place


def test_one_that_ends_at_once_is_not_waited_for(
    installation: InProcessInstallation, tools: Toolbox, new_server: Callable[..., Path]
) -> None:
    """As one does whose killed predecessor's children still hold its memory: it is tried again."""
    directory = new_server()
    directory.mkdir()
    (directory / SETTLED).touch()
    ending = replace(tools, engines=lambda _: Ending())
    with installation.catalog.read() as session:
        (addon,) = addons.hosted_here(session, tools.node, [Desired.RUNNING])
        session.expunge_all()
    with pytest.raises(AddonUnavailable, match="ended with 1"):
        managed_servers.start(ending, addon, time.sleep)
