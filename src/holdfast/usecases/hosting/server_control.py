"""Controls an addon's server: its data directory, and how it is stopped and started.

A managed server is ours. For an attached one the operator of this machine names the directory and
the two commands (`HOLDFAST_ATTACHED_FILE`); the API cannot change them. `data_directories.py`
exchanges the data directories of both alike.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from holdfast.catalog import addons, projects
from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import Address, Engine
from holdfast.contracts.local_servers import Hostable, LocalServer
from holdfast.domain.addon import Control, Desired
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    NotSupported,
    Permanent,
)
from holdfast.kit.processes import process
from holdfast.kit.processes.process import Command, require_success
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.toolbox import SERVER_LOG, Toolbox, home_of, server_of

_STOP_SECONDS = 300.0
_GONE_SECONDS = 30.0
_LAST_WORDS = 500


@dataclass(frozen=True)
class ServerControl:
    """One server on this machine. `home` is our own directory on the same file system.

    `runs` tells whether the server is up; `start` returns when it answers, `stop` when it has
    ended; both are repeatable. `wanted`: the supervisor restarts it when it is down.
    """

    server: LocalServer
    home: Path
    wanted: bool
    runs: Callable[[], bool]
    stop: Callable[[], None]
    start: Callable[[], object]
    remove: Callable[[Path], None]
    """Removes a directory beside the live one, and ends a server that a rehearsal left in it."""
    obstacles: Callable[[], Sequence[str]] = tuple[str, ...]
    """Reasons why the data directory cannot be exchanged; none: it can."""

    def beside(self, op: str, attempt: int = 0) -> Path:
        """The directory in which an attempt prepares the data that replaces the live one.

        Each attempt has its own, because one that was taken for dead may still write into it.
        """
        return self.home / f"{managed_servers.BESIDE}{op}{f'.{attempt}' if attempt else ''}"

    def all_beside(self, op: str, upto: int) -> list[Path]:
        """The existing directories of attempts of the operation up to `upto`."""
        trees = [self.beside(op, attempt) for attempt in range(upto + 1)]
        return [tree for tree in trees if tree.exists()]

    def held(self) -> AbstractContextManager[None]:
        """Locks the server against being started, stopped or moved elsewhere."""
        return managed_servers.hold(self.home)


def control_of(tools: Toolbox, addon: Addon) -> ServerControl:
    """The control of an addon's server; NotSupported for attached ones without operator's entry."""
    if not addon.managed:
        return _attached(tools, addon)
    server, engine = server_of(tools, addon), managed_servers.hostable(tools.engines(addon.kind))
    return ServerControl(
        server=server,
        home=home_of(tools.data_dir, addon.uid),
        wanted=addon.desired == Desired.RUNNING,
        runs=lambda: engine.running(server) is not None,
        stop=lambda: managed_servers.stop(tools, addon),
        start=lambda: managed_servers.start(tools, addon, time.sleep),
        remove=lambda tree: managed_servers.remove(engine, tree),
    )


def _attached(tools: Toolbox, addon: Addon) -> ServerControl:
    control = tools.controls.get(path_of(tools, addon))
    if control is None:
        raise NotSupported(
            "the server of an attached addon is not ours to stop, and the operator of this machine"
            " did not say how (HOLDFAST_ATTACHED_FILE); use `holdfast backup materialise` and"
            " follow its steps"
        )
    address = addons.address(addon, tools.sealer)
    server = LocalServer(
        directory=control.directory.resolve(),
        port=addon.port,
        version=addon.version,
        user=addon.user,
        password=address.password,
        database=addon.database,
        ours=False,
    )
    home = server.directory.with_name(f"{server.directory.name}.holdfast")
    engine, log = tools.engines(addon.kind), home / SERVER_LOG
    attached = _Attached(tools, engine, address, server, control, log)
    return ServerControl(
        server=server,
        home=home,
        wanted=False,
        runs=attached.is_up,
        stop=attached.stop,
        start=attached.start,
        remove=lambda tree: managed_servers.remove(engine, tree),
        obstacles=attached.obstacles,
    )


def path_of(tools: Toolbox, addon: Addon) -> str:
    """The addon's name in the operator's file: `project/addon`."""
    with tools.catalog.read() as session:
        return f"{projects.get(session, addon.project_pk).id}/{addon.id}"


@dataclass(frozen=True)
class _Attached:
    """A server that the user runs, stopped and started by the operator's commands."""

    tools: Toolbox
    engine: Engine
    address: Address
    server: LocalServer
    control: Control
    log: Path

    def is_up(self) -> bool:
        """Whether a server runs from this directory or answers at the addon's address; neither may
        lose its files."""
        return self._answers() or bool(self._from_here())

    def serves(self) -> bool:
        """Whether it answers and runs from this directory."""
        return self._answers() and self._from_here() is not False

    def _from_here(self) -> bool | None:
        """Whether a server runs from this directory; None: this engine cannot tell."""
        if not isinstance(self.engine, Hostable):
            return None
        return self.engine.running(self.server) is not None

    def _answers(self) -> bool:
        """Whether a server answers; one that refuses us counts."""
        try:
            self.engine.probe(self.address)
        except AddonUnavailable:
            return False
        except AddonRefused:
            return True
        return True

    def stop(self) -> None:
        """Runs the operator's command. It succeeded if the server is gone: the command may fail if
        there was none."""
        finished = process.run(Command(self.control.stop, cwd="/"), timeout=_STOP_SECONDS)
        if self._awaited(lambda: not self.is_up(), 0 if finished.status else _GONE_SECONDS):
            return
        require_success(finished)
        raise Permanent("the operator's stop command ended well, but the server still runs")

    def start(self) -> None:
        """Runs the operator's command, which may stay in the foreground or end when the server is
        up."""
        if self.serves():
            return
        with self.log.open("ab") as log:
            ended = process.start_detached(Command(self.control.start, cwd="/"), log).ended
        if not self._awaited(lambda: bool(self.serves() or ended()), managed_servers.START_SECONDS):
            problem = f"nothing answers from {self.server.directory}"
            raise AddonUnavailable(f"after the operator's start command {problem}: {self._words()}")
        if status := ended():
            problem = f"exited with status {status}"
            raise AddonUnavailable(f"the operator's start command {problem}: {self._words()}")

    def _words(self) -> str:
        words = self.log.read_text(errors="replace")[-_LAST_WORDS:].split()
        return " ".join(words) or "it said nothing"

    def _awaited(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = self.tools.clock.monotonic() + seconds
        while not condition():
            if self.tools.clock.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        return True

    def obstacles(self) -> Sequence[str]:
        """Checks the operator's entry before anything is touched: a wrong one must change
        nothing."""
        live = self.server.directory
        if not live.parent.is_dir():
            return [f"there is no directory {live.parent} on this machine"]
        problems: list[str] = []
        if self._answers() and self._from_here() is False:
            problems.append(f"the server that answers does not run from {live}")
        if live.exists():
            state = live.stat()
            if state.st_dev != live.parent.stat().st_dev:
                problems.append(
                    f"{live} is a file system of its own, so nothing can take its place"
                )
            if os.geteuid() not in (0, state.st_uid):
                problems.append(f"{live} belongs to another user, and this worker is not root")
        if not os.access(live.parent, os.W_OK | os.X_OK):
            problems.append(f"this worker may not write in {live.parent}")
        return problems
