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
from holdfast.domain.errors import AddonUnavailable, NotSupported, RestoreDiffers
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

    `wait(seconds)` sleeps between looks. AddonUnavailable when it does not answer in time, or
    when a restore that was cut off has its data directory.
    """
    engine, place = hostable(tools.engines(addon.kind)), place_of(tools, addon)
    if not place.directory.exists():
        raise AddonUnavailable("the server's data directory is not in its place")
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
    """Stops the server and removes its data, also that of restores. Repeatable."""
    home = home_of(tools.data_dir, addon.uid)
    if not home.exists():
        return
    stop(tools, addon)
    for tree in (place_of(tools, addon).directory, *home.glob(f"{BESIDE}*")):
        if tree.exists():
            shutil.rmtree(tree)


BESIDE = "restore-"
_BEFORE = "before"
_SERVES = "restored"


def beside(tools: Toolbox, addon: Addon, op: str) -> Path:
    """Where an operation puts a data directory that is to replace the live one."""
    return home_of(tools.data_dir, addon.uid) / f"{BESIDE}{op}"


def exchange(tools: Toolbox, addon: Addon, tree: Path, say: Callable[[str], None]) -> None:
    """Puts `tree / "data"` in place of the live directory, which waits in `tree / "before"`.

    The old one goes when the restored server has answered. Whoever comes after a crash goes on
    from where the directories are; after a Failure `undo` goes back. Hold the addon's lock.
    """
    live, ready = place_of(tools, addon).directory, tree / "data"
    if ready.exists():
        stop(tools, addon)
        if live.exists():
            _move(live, tree / _BEFORE)
        _move(ready, live)
    elif not (tree / _BEFORE).exists() and not _is_settled(live, tree):
        raise RestoreDiffers("an attempt before this one went back to the old data")
    start(tools, addon, time.sleep)
    _settle(live, tree, say)


def _is_settled(live: Path, tree: Path) -> bool:
    """Does this restore's data serve, with the old data given up?"""
    serves = live.with_name(_SERVES)
    return serves.exists() and serves.read_text() == tree.name


def _settle(live: Path, tree: Path, say: Callable[[str], None]) -> None:
    """From the second move on there is no way back: what is removed may be half removed."""
    serves = live.with_name(_SERVES)
    note = serves.with_name(f"{_SERVES}.new")
    note.write_text(tree.name)
    _move(note, serves)
    before = tree / _BEFORE
    if before.exists():
        _move(before, tree / "gone")
    try:
        _forget(live, tree)
    except OSError as error:
        say(f"not all of what was there before could be removed: {error}")


def _forget(live: Path, tree: Path) -> None:
    """Older restores and the old data; tablespaces live on where they were restored."""
    lasting = tree / "tablespaces"
    for each in live.parent.glob(f"{BESIDE}*"):
        if each != tree or not lasting.exists():
            shutil.rmtree(each)
    if lasting.exists():
        for each in tree.iterdir():
            if each != lasting:
                shutil.rmtree(each)


def goes_back(tools: Toolbox, addon: Addon, tree: Path) -> bool:
    """Would `undo` leave the old data in place?"""
    live = place_of(tools, addon).directory
    return (tree / _BEFORE).exists() or not _is_settled(live, tree)


def undo(tools: Toolbox, addon: Addon, tree: Path) -> str:
    """Back to the directory from before the exchange; says in what state the addon is.

    Repeatable. Too late when the old data was given up already. Hold the addon's lock.
    """
    live, before = place_of(tools, addon).directory, tree / _BEFORE
    serves = live.with_name(_SERVES)
    state = "the addon is as it was"
    if before.exists():
        serves.unlink(missing_ok=True)
        stop(tools, addon)
        if live.exists():
            _move(live, tree / "failed")
        _move(before, live)
        state = "the addon was put back as it was"
    elif _is_settled(live, tree):
        return "the restored server is in place"
    if tree.exists():
        shutil.rmtree(tree)
    if addon.desired == Desired.RUNNING and live.exists():
        start(tools, addon, time.sleep)
    return state


def _move(source: Path, target: Path) -> None:
    """Done or not done, also after a power failure."""
    source.rename(target)
    for directory in {source.parent, target.parent}:
        _sync(directory)


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
