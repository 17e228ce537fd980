"""Where an addon's server has its data directory, and how it is stopped and started there.

Of a managed addon all of that is ours. Of an attached one it is what the operator of this machine
said about it (`HOLDFAST_ATTACHED_FILE`): the directory, and the two commands. Nothing of it can be
said or changed over the API. `exchange.py` puts another data directory in place, for both alike.
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
from holdfast.usecases.toolbox import SERVER_LOG, Toolbox, home_of, place_of

_STOP_SECONDS = 300.0
_GONE_SECONDS = 30.0
_LAST_WORDS = 500


@dataclass(frozen=True)
class ServerControl:
    """One server's place on this machine. `home` is our own directory on the same file system.

    `runs` says whether the server is up, `start` returns when it answers, `stop` when it is gone;
    both may be repeated. `wanted`: somebody sees to it that it runs.
    """

    place: LocalServer
    home: Path
    wanted: bool
    runs: Callable[[], bool]
    stop: Callable[[], None]
    start: Callable[[], None]
    remove: Callable[[Path], None]
    """A directory beside the live one, with whatever server a rehearsal left waiting in it."""
    obstacles: Callable[[], Sequence[str]] = tuple[str, ...]
    """Why directories cannot change places here; none: they can."""

    def beside(self, op: str, attempt: int = 0) -> Path:
        """Where an attempt of an operation puts a data directory that is to replace the live one.

        One that was taken for dead may still write into its own; nobody else does.
        """
        return self.home / f"{managed_servers.BESIDE}{op}{f'.{attempt}' if attempt else ''}"

    def all_beside(self, op: str, upto: int) -> list[Path]:
        """Those of attempts of this operation, but not of newer ones."""
        trees = [self.beside(op, attempt) for attempt in range(upto + 1)]
        return [tree for tree in trees if tree.exists()]

    def held(self) -> AbstractContextManager[None]:
        """Nobody else starts or stops the server, or moves its directory, meanwhile."""
        return managed_servers.hold(self.home)


def control_of(tools: Toolbox, addon: Addon) -> ServerControl:
    """NotSupported for an attached addon that the operator of this machine said nothing about."""
    return _managed(tools, addon) if addon.managed else _attached(tools, addon)


def _managed(tools: Toolbox, addon: Addon) -> ServerControl:
    place, engine = place_of(tools, addon), managed_servers.hostable(tools.engines(addon.kind))
    return ServerControl(
        place=place,
        home=home_of(tools.data_dir, addon.uid),
        wanted=addon.desired == Desired.RUNNING,
        runs=lambda: engine.running(place) is not None,
        stop=lambda: managed_servers.stop(tools, addon),
        start=lambda: _started(tools, addon),
        remove=lambda tree: managed_servers.remove(engine, tree),
    )


def _started(tools: Toolbox, addon: Addon) -> None:
    managed_servers.start(tools, addon, time.sleep)


def _attached(tools: Toolbox, addon: Addon) -> ServerControl:
    control = tools.controls.get(path_of(tools, addon))
    if control is None:
        raise NotSupported(
            "the server of an attached addon is not ours to stop, and the operator of this machine"
            " did not say how (HOLDFAST_ATTACHED_FILE); use `holdfast backup materialise` and"
            " follow its steps"
        )
    address = addons.address(addon, tools.sealer)
    place = LocalServer(
        directory=control.directory.resolve(),
        port=addon.port,
        version=addon.version,
        user=addon.user,
        password=address.password,
        database=addon.database,
        ours=False,
    )
    home = place.directory.with_name(f"{place.directory.name}.holdfast")
    engine, log = tools.engines(addon.kind), home / SERVER_LOG
    server = _Attached(tools, engine, address, place, control, log)
    return ServerControl(
        place=place,
        home=home,
        wanted=False,
        runs=server.is_up,
        stop=server.stop,
        start=server.start,
        remove=lambda tree: managed_servers.remove(engine, tree),
        obstacles=server.obstacles,
    )


def path_of(tools: Toolbox, addon: Addon) -> str:
    """As the operator's file calls it: project and addon."""
    with tools.catalog.read() as session:
        return f"{projects.get(session, addon.project_pk).id}/{addon.id}"


@dataclass(frozen=True)
class _Attached:
    """Somebody else's server, stopped and started by the operator's commands."""

    tools: Toolbox
    engine: Engine
    address: Address
    place: LocalServer
    control: Control
    log: Path

    def is_up(self) -> bool:
        """From this directory, or at the addon's address: neither may be pulled away under it."""
        return self._answers() or bool(self._from_here())

    def serves(self) -> bool:
        """Does it answer, and from this directory?"""
        return self._answers() and self._from_here() is not False

    def _from_here(self) -> bool | None:
        """None: this engine cannot tell which directory a server runs from."""
        if not isinstance(self.engine, Hostable):
            return None
        return self.engine.running(self.place) is not None

    def _answers(self) -> bool:
        """A server that refuses us is there all the same."""
        try:
            self.engine.probe(self.address)
        except AddonUnavailable:
            return False
        except AddonRefused:
            return True
        return True

    def stop(self) -> None:
        """What counts is that it is gone, not what the command says of one that was not there."""
        finished = process.run(Command(self.control.stop, cwd="/"), timeout=_STOP_SECONDS)
        if self._awaited(lambda: not self.is_up(), 0 if finished.status else _GONE_SECONDS):
            return
        require_success(finished)
        raise Permanent("the operator's stop command ended well, but the server still runs")

    def start(self) -> None:
        """The command may stay, as a server in the foreground, or end when the server is up."""
        if self.serves():
            return
        with self.log.open("ab") as log:
            ended = process.start_detached(Command(self.control.start, cwd="/"), log).ended
        if not self._awaited(lambda: bool(self.serves() or ended()), managed_servers.START_SECONDS):
            how = f"nothing answers from {self.place.directory}"
            raise AddonUnavailable(f"after the operator's start command {how}: {self._words()}")
        if status := ended():
            how = f"exited with status {status}"
            raise AddonUnavailable(f"the operator's start command {how}: {self._words()}")

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
        """Before anything is touched: a wrong line in the operator's file must change nothing."""
        live = self.place.directory
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
