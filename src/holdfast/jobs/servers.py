"""Managed servers: starting and stopping them, shared by the lifecycle jobs and the supervisor.

A server is started detached, so it outlives a crash of ours and is adopted at the next start.
One file lock per addon keeps the supervisor and a job, of whatever process, from starting and
stopping the same server at once.
"""

import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import Engine, Hostable
from holdfast.domain.addon import Desired
from holdfast.domain.errors import AddonUnavailable, Failure, NotSupported
from holdfast.jobs.toolbox import Toolbox, home_of, place_of
from holdfast.kit import process
from holdfast.kit.locks import exclusive

START_SECONDS = 60.0
LOG = "server.log"
_LOG_LIMIT = 64 << 20


def hostable(engine: Engine) -> Hostable:
    if not isinstance(engine, Hostable):
        raise NotSupported(f"{engine.title} servers cannot be run by Holdfast")
    return engine


@contextmanager
def held(tools: Toolbox, addon: Addon) -> Generator[None]:
    """Nobody else starts or stops this addon's server meanwhile."""
    home = home_of(tools.data_dir, addon.uid)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # the server's own user must get to the data directory below
    with exclusive(home / "lock"):
        yield


def start(tools: Toolbox, addon: Addon, wait: Callable[[float], None]) -> bool:
    """Makes sure the server runs and answers. Returns whether it had to be started.

    `wait(seconds)` sleeps between looks. AddonUnavailable when it does not answer in time.
    """
    engine, place = hostable(tools.engines(addon.kind)), place_of(tools, addon)
    started = engine.running(place) is None
    if started:
        with _log(home_of(tools.data_dir, addon.uid)).open("ab") as log:
            process.start_detached(engine.command(place), log)
    deadline = tools.clock.monotonic() + START_SECONDS
    while not engine.ready(place):
        if tools.clock.monotonic() > deadline:
            raise AddonUnavailable(f"the server did not answer within {START_SECONDS:.0f} s")
        wait(0.1)
    return started


def _log(home: Path) -> Path:
    """The server's log; one older generation is kept."""
    log = home / LOG
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(home / f"{LOG}.1")
    return log


def stop(tools: Toolbox, addon: Addon) -> None:
    hostable(tools.engines(addon.kind)).stop(place_of(tools, addon))


def create(tools: Toolbox, addon: Addon) -> None:
    """A data directory, if there is none yet."""
    place = place_of(tools, addon)
    if not place.directory.exists():
        hostable(tools.engines(addon.kind)).initialise(place)


def destroy(tools: Toolbox, addon: Addon) -> None:
    """Stops the server and removes its data. Repeatable."""
    home = home_of(tools.data_dir, addon.uid)
    if not home.exists():
        return
    stop(tools, addon)
    shutil.rmtree(place_of(tools, addon).directory, ignore_errors=False)
    for tree in home.glob(f"{BESIDE}*"):
        shutil.rmtree(tree)


BESIDE = "restore-"
_BEFORE = "data.before-restore"


def beside(tools: Toolbox, addon: Addon, op: str) -> Path:
    """Where an operation puts a data directory that is to replace the live one."""
    return home_of(tools.data_dir, addon.uid) / f"{BESIDE}{op}"


def exchange(tools: Toolbox, addon: Addon, tree: Path, say: Callable[[str], None]) -> None:
    """Puts `tree / "data"` in place of the live directory; back again when it does not answer.

    Whoever comes after a crash goes on from where the directories are. Hold the addon's lock.
    """
    live, ready = place_of(tools, addon).directory, tree / "data"
    before = live.with_name(_BEFORE)
    if ready.exists():
        stop(tools, addon)
        if live.exists():
            if before.exists():
                shutil.rmtree(before)
            live.rename(before)
        ready.rename(live)
        _sync(live.parent)
    try:
        start(tools, addon, time.sleep)
    except Failure as error:
        say(f"the restored server does not answer: {error.message}; going back")
        undo(tools, addon, tree)
        raise
    if before.exists():
        shutil.rmtree(before)
    _forget_others(live, keep=tree)


def undo(tools: Toolbox, addon: Addon, tree: Path) -> str:
    """Back to the directory from before the exchange; says in what state the addon is."""
    live = place_of(tools, addon).directory
    before = live.with_name(_BEFORE)
    state = "the addon is as it was"
    swapped = live.exists() and not before.exists() and not (tree / "data").exists()
    if swapped:
        return "the restored server is in place"
    if before.exists():
        stop(tools, addon)
        if live.exists():
            shutil.rmtree(live)
        before.rename(live)
        _sync(live.parent)
        state = "the addon was put back as it was"
    if tree.exists():
        shutil.rmtree(tree)
    if addon.desired == Desired.RUNNING:
        start(tools, addon, time.sleep)
    return state


def _forget_others(live: Path, keep: Path) -> None:
    """Directories of older restores; this one's stays while tablespaces live in it."""
    for tree in live.parent.glob(f"{BESIDE}*"):
        if tree != keep or not (tree / "tablespaces").exists():
            shutil.rmtree(tree)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_home(tools: Toolbox, addon: Addon) -> None:
    home = home_of(tools.data_dir, addon.uid)
    if home.exists():
        shutil.rmtree(home)
