"""Exchanges the live data directory for another one, or goes back.

Every move is one rename. After a crash the positions of the directories, and notes beside them,
tell what was done, so each function is repeatable. Hold the server's lock (`ServerControl.held`).

<home>/restore-<op>.<n>/data     the restored data, until it is in place
    <home>/restore-<op>.<n>/before   the old data, until the restored server has answered
    <home>/restore-<op>.<n>/gone     the old data from then on
    <home>/restore-<op>.<n>/failed   the restored data, when its server did not answer
    <home>/restore-<op>.<n>/stopped  the server of an attached addon ran, and we stopped it
    <home>/served                the engine's note about the restored server that served last
    <home>/restored              the restore whose data serves, with the old data gone
    <home>/given-up              there is no old data: a restore was allowed to remove it first
    <home>/settings              small files of that old data, for the restored directory
    <home>/aside-<op>/data       the old data that the restore `op` keeps for an undo
    <home>/aside-<op>/version    the server's version of that data
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.contracts.local_servers import SERVED, LocalServer
from holdfast.domain.errors import RestoreDiffers
from holdfast.kit import durable
from holdfast.usecases.hosting.managed_servers import ASIDE, BESIDE, GIVEN_UP, SETTINGS
from holdfast.usecases.hosting.server_control import ServerControl

_BEFORE, _GONE, _FAILED = "before", "gone", "failed"
_TABLESPACES = "tablespaces"
_STOPPED = "stopped"
_SERVES = "restored"
_SETTING_BYTES = 1 << 20
_VERSION = "version"


@dataclass(frozen=True)
class Aside:
    """The directory with the old data of a restore, kept for an undo, and its server's version."""

    directory: Path
    version: str

    @property
    def data(self) -> Path:
        return self.directory / "data"


def aside_of(control: ServerControl, op: str, version: str = "") -> Aside:
    return Aside(control.home / f"{ASIDE}{op}", version)


def exchange(
    control: ServerControl, tree: Path, say: Callable[[str], None], keep: Aside | None = None
) -> None:
    """Puts `tree / "data"` in place of the live directory, which waits in `tree / "before"`.

    When the restored server has answered, the old data is removed, or moved to `keep`. After a
    Failure call `undo`.
    """
    live, ready = control.server.directory, tree / "data"
    if ready.exists():
        if not control.wanted and control.runs():
            durable.touch(tree / _STOPPED)  # the supervisor does not start it again
        control.stop()
        if live.exists():
            durable.move(live, tree / _BEFORE)
        if (served := _reads(tree / SERVED)) is not None:
            durable.write(control.home / SERVED, served)
        durable.move(ready, live)
    elif not (
        (tree / _BEFORE).exists()
        or is_settled(control, tree)
        # What a restore put in place is all there is.
        or (is_given_up(control) and live.exists())
    ):
        raise RestoreDiffers("an attempt before this one went back to the old data")
    control.start()
    _settle(control, tree, say, keep)


def is_settled(control: ServerControl, tree: Path) -> bool:
    """Whether this restore's data serves and the old data is given up.

    A note says so. If the note was lost, the directories do: the live one is there, and the tree
    contains what was moved out for good.
    """
    if _reads(control.home / _SERVES) == tree.name:
        return True
    serves = control.server.directory.exists() and not is_given_up(control)
    waiting = any((tree / name).exists() for name in ("data", _BEFORE, _FAILED))
    return serves and not waiting and ((tree / _GONE).exists() or bool(linked(control, tree)))


def linked(control: ServerControl, tree: Path) -> list[Path]:
    """Links of the live data into a tree: tablespaces stay where they were restored."""
    return _leading_into(control.server.directory, tree)


def _leading_into(data: Path, tree: Path) -> list[Path]:
    links = [path for path in (*data.glob("*"), *data.glob("*/*")) if path.is_symlink()]
    target = tree.resolve()
    return [path for path in links if target in (path.parent / path.readlink()).resolve().parents]


def remove(control: ServerControl, tree: Path) -> None:
    """Removes a tree, except for tablespaces of the live data or of old data kept for an undo."""
    set_aside = (aside / "data" for aside in control.home.glob(f"{ASIDE}*"))
    if any(_leading_into(data, tree) for data in (control.server.directory, *set_aside)):
        _empty(tree)
    else:
        control.remove(tree)


def _empty(tree: Path) -> None:
    """Removes everything but the tablespaces."""
    for path in tree.iterdir():
        if path.is_dir() and path.name != _TABLESPACES:
            shutil.rmtree(path)
    (tree / _STOPPED).unlink(missing_ok=True)


def _settle(
    control: ServerControl, tree: Path, say: Callable[[str], None], keep: Aside | None
) -> None:
    """Gives the old data up. From the second move on there is no way back, because the removal may
    be interrupted half-way."""
    durable.write(control.home / _SERVES, tree.name)
    before = tree / _BEFORE
    if before.exists() and keep is not None:
        keep.directory.mkdir(mode=0o711, exist_ok=True)
        durable.write(keep.directory / _VERSION, keep.version)
        durable.move(before, keep.data)
    elif before.exists():
        durable.move(before, tree / _GONE)
    (control.home / GIVEN_UP).unlink(missing_ok=True)
    durable.sync(control.home)
    try:
        # Older restores and the old data; tablespaces stay where they were restored.
        shutil.rmtree(control.home / SETTINGS, ignore_errors=True)
        for older in control.home.glob(f"{BESIDE}*"):
            if older == tree and (tree / _TABLESPACES).exists():
                _empty(tree)
            else:
                remove(control, older)
    except OSError as error:
        say(f"not all of what was there before could be removed: {error}")


def give_up(control: ServerControl, tree: Path) -> None:
    """Removes the live data before the restored data is there. No way back; repeatable.

    Only for a machine without room for both, and only if the caller allowed it.
    """
    live = control.server.directory
    if live.exists():
        _keep_settings(control)
        durable.write(control.home / GIVEN_UP, f"by {tree.name}")
        control.stop()
        durable.move(live, tree / _GONE)
    if (tree / _GONE).exists():
        shutil.rmtree(tree / _GONE)


def is_given_up(control: ServerControl) -> bool:
    """Whether the old data was removed first, so that there is nothing to go back to."""
    return (control.home / GIVEN_UP).exists()


def model(control: ServerControl) -> LocalServer:
    """The server that restored data is arranged for; its directory may be the kept settings
    only."""
    settings = control.home / SETTINGS
    if control.server.directory.exists() or not settings.exists():
        return control.server
    return replace(control.server, directory=settings)


def _keep_settings(control: ServerControl) -> None:
    """Copies the small files at the top of the live directory, among them any configuration."""
    live, settings = control.server.directory, control.home / SETTINGS
    draft = settings.with_name(f"{settings.name}.new")
    for leftover in (draft, settings):
        if leftover.exists():
            shutil.rmtree(leftover)
    draft.mkdir(mode=0o700)
    for path in live.iterdir():
        if path.is_file() and path.stat().st_size <= _SETTING_BYTES:
            shutil.copy2(path, draft / path.name)
            durable.sync(draft / path.name)
    state = live.stat()
    os.chown(draft, state.st_uid, state.st_gid)
    durable.move(draft, settings)


def goes_back(control: ServerControl, tree: Path) -> bool:
    """Whether `undo` would leave the old data in place."""
    return (tree / _BEFORE).exists() or not is_settled(control, tree)


def take_back(control: ServerControl, op: str, tree: Path, say: Callable[[str], None]) -> None:
    """Exchanges the live directory, which is removed, for the old data that restore `op` set aside.

    Repeatable. After a Failure `undo(..., aside)` sets it aside again.
    """
    aside = aside_of(control, op)
    if aside.data.exists():
        tree.mkdir(mode=0o711, exist_ok=True)
        durable.move(aside.data, tree / "data")
    exchange(control, tree, say)
    drop_aside(control, op)


def version_aside(control: ServerControl, op: str) -> str:
    """The server's version of the old data of `op`; RestoreDiffers if none is set aside."""
    note = _reads(aside_of(control, op).directory / _VERSION)
    if note is None:
        raise RestoreDiffers("the old data of this restore is no longer set aside")
    return note


def drop_aside(control: ServerControl, op: str) -> None:
    directory = aside_of(control, op).directory
    if directory.exists():
        shutil.rmtree(directory)


def undo(control: ServerControl, tree: Path, aside: Aside | None = None) -> str:
    """Goes back to the directory from before the exchange; returns the addon's state.

    Does nothing if the old data was given up already. `aside`: where the restored data is kept
    again instead of being removed.
    """
    live, before = control.server.directory, tree / _BEFORE
    state = "the addon is as it was"
    if before.exists():
        durable.remove(control.home / _SERVES)
        control.stop()
        if live.exists():
            durable.move(live, tree / _FAILED)
        durable.move(before, live)
        state = "the addon was put back as it was"
    elif is_settled(control, tree):
        return "the restored server is in place"
    if is_given_up(control):
        state = "what the addon held before was given up for a restore and is gone"
        if live.exists():
            state += "; restored data is in its place, but its server did not answer"
        else:
            state += ": it has no data until a restore succeeds"
    elif (control.wanted or (tree / _STOPPED).exists()) and live.exists():
        control.start()
    for restored in (tree / "data", tree / _FAILED):
        if aside is not None and restored.exists():
            durable.move(restored, aside.data)
    if tree.exists():
        remove(control, tree)
    return state


def _reads(note: Path) -> str | None:
    return note.read_text() if note.exists() else None
