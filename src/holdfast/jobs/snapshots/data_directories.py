"""Puts another data directory in place of the live one, or goes back.

Every move is one rename. Whoever comes after a crash sees from where the directories are, and from
notes beside them, what was done; so each function may be repeated. Hold the seat meanwhile.

    <home>/restore-<op>.<n>/data     the restored data, until it is in place
    <home>/restore-<op>.<n>/before   the old data, until the restored server has answered
    <home>/restore-<op>.<n>/gone     the old data from then on
    <home>/restore-<op>.<n>/failed   the restored data, when its server did not answer
    <home>/restore-<op>.<n>/stopped  the server of an attached addon ran, and we stopped it
    <home>/served                what the engine says of the restored server that served last
    <home>/restored              which restore's data serves, with the old data gone
    <home>/given-up              there is no old data: a restore was allowed to remove it first
    <home>/settings              small files of that old data, for the directory that comes
    <home>/aside-<op>/data       the old data that the restore `op` was told to keep for an undo
    <home>/aside-<op>/version    the server's version that it is of
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
    """Where a restore keeps the old data for an undo, and the server's version it is of."""

    directory: Path
    version: str

    @property
    def data(self) -> Path:
        return self.directory / "data"


def aside_of(seat: ServerControl, op: str, version: str = "") -> Aside:
    return Aside(seat.home / f"{ASIDE}{op}", version)


def exchange(
    seat: ServerControl, tree: Path, say: Callable[[str], None], keep: Aside | None = None
) -> None:
    """Puts `tree / "data"` in place of the live directory, which waits in `tree / "before"`.

    When the restored server has answered, the old one goes, or into `keep`. After a Failure `undo`
    goes back.
    """
    live, ready = seat.place.directory, tree / "data"
    if ready.exists():
        if not seat.wanted and seat.runs():
            durable.touch(tree / _STOPPED)  # nobody else would start it again
        seat.stop()
        if live.exists():
            durable.move(live, tree / _BEFORE)
        if (served := _reads(tree / SERVED)) is not None:
            durable.write(seat.home / SERVED, served)
        durable.move(ready, live)
    elif not ((tree / _BEFORE).exists() or is_settled(seat, tree) or _serves_untried(seat)):
        raise RestoreDiffers("an attempt before this one went back to the old data")
    seat.start()
    _settle(seat, tree, say, keep)


def is_settled(seat: ServerControl, tree: Path) -> bool:
    """Does this restore's data serve, with the old data given up?

    The note says so; where that was lost, the directories do: the live one is there, and in the
    tree is what was put aside for good.
    """
    if _reads(seat.home / _SERVES) == tree.name:
        return True
    there = seat.place.directory.exists() and not is_given_up(seat)
    waiting = any((tree / name).exists() for name in ("data", _BEFORE, _FAILED))
    return there and not waiting and ((tree / _GONE).exists() or bool(linked(seat, tree)))


def linked(seat: ServerControl, tree: Path) -> list[Path]:
    """Links of the live data that lead into a tree: tablespaces lie where they were restored."""
    return _leading_into(seat.place.directory, tree)


def _leading_into(data: Path, tree: Path) -> list[Path]:
    links = [path for path in (*data.glob("*"), *data.glob("*/*")) if path.is_symlink()]
    here = tree.resolve()
    return [path for path in links if here in (path.parent / path.readlink()).resolve().parents]


def _is_needed(seat: ServerControl, tree: Path) -> bool:
    """Do tablespaces of the live data, or of old data that is kept for an undo, lie in there?"""
    kept = (aside / "data" for aside in seat.home.glob(f"{ASIDE}*"))
    return any(_leading_into(data, tree) for data in (seat.place.directory, *kept))


def remove(seat: ServerControl, tree: Path) -> None:
    """A tree, but nothing that the live data or kept old data leads to."""
    if _is_needed(seat, tree):
        _empty(tree)
    else:
        seat.remove(tree)


def _empty(tree: Path) -> None:
    """Of everything but the tablespaces that live on in it."""
    for path in tree.iterdir():
        if path.is_dir() and path.name != _TABLESPACES:
            shutil.rmtree(path)
    (tree / _STOPPED).unlink(missing_ok=True)


def _settle(
    seat: ServerControl, tree: Path, say: Callable[[str], None], keep: Aside | None
) -> None:
    """From the second move on there is no way back: what is removed may be half removed."""
    durable.write(seat.home / _SERVES, tree.name)
    before = tree / _BEFORE
    if before.exists() and keep is not None:
        keep.directory.mkdir(mode=0o711, exist_ok=True)
        durable.write(keep.directory / _VERSION, keep.version)
        durable.move(before, keep.data)
    elif before.exists():
        durable.move(before, tree / _GONE)
    (seat.home / GIVEN_UP).unlink(missing_ok=True)
    durable.sync(seat.home)
    try:
        _forget(seat, tree)
    except OSError as error:
        say(f"not all of what was there before could be removed: {error}")


def _forget(seat: ServerControl, tree: Path) -> None:
    """Older restores and the old data; tablespaces live on where they were restored."""
    shutil.rmtree(seat.home / SETTINGS, ignore_errors=True)
    for each in seat.home.glob(f"{BESIDE}*"):
        if each == tree and (tree / _TABLESPACES).exists():
            _empty(tree)
        else:
            remove(seat, each)


def give_up(seat: ServerControl, tree: Path) -> None:
    """Removes the live data before its successor is there. No way back; may be repeated.

    Only for a machine without room for both, and only when somebody allowed it.
    """
    live = seat.place.directory
    if live.exists():
        _keep_settings(seat)
        durable.write(seat.home / GIVEN_UP, f"by {tree.name}")
        seat.stop()
        durable.move(live, tree / _GONE)
    if (tree / _GONE).exists():
        shutil.rmtree(tree / _GONE)


def is_given_up(seat: ServerControl) -> bool:
    """Is there no old data to go back to?"""
    return (seat.home / GIVEN_UP).exists()


def model(seat: ServerControl) -> LocalServer:
    """The place as restored data is arranged for: with what is left of the live directory."""
    kept = seat.home / SETTINGS
    if seat.place.directory.exists() or not kept.exists():
        return seat.place
    return replace(seat.place, directory=kept)


def _keep_settings(seat: ServerControl) -> None:
    """Whatever is small and lies at the top: configuration is, wherever an engine keeps it."""
    live, kept = seat.place.directory, seat.home / SETTINGS
    draft = kept.with_name(f"{kept.name}.new")
    for leftover in (draft, kept):
        if leftover.exists():
            shutil.rmtree(leftover)
    draft.mkdir(mode=0o700)
    for path in live.iterdir():
        if path.is_file() and path.stat().st_size <= _SETTING_BYTES:
            _copy(path, draft / path.name)
    state = live.stat()
    os.chown(draft, state.st_uid, state.st_gid)
    durable.move(draft, kept)


def _copy(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
    durable.sync(target)


def _serves_untried(seat: ServerControl) -> bool:
    """Is what a restore put in place all there is?"""
    return is_given_up(seat) and seat.place.directory.exists()


def goes_back(seat: ServerControl, tree: Path) -> bool:
    """Would `undo` leave the old data in place?"""
    return (tree / _BEFORE).exists() or not is_settled(seat, tree)


def take_back(seat: ServerControl, op: str, tree: Path, say: Callable[[str], None]) -> None:
    """Puts what the restore `op` set aside in place of the live directory, which goes.

    Repeatable. After a Failure `undo(..., aside)` sets it aside again.
    """
    aside = aside_of(seat, op)
    if aside.data.exists():
        tree.mkdir(mode=0o711, exist_ok=True)
        durable.move(aside.data, tree / "data")
    exchange(seat, tree, say)
    drop_aside(seat, op)


def version_aside(seat: ServerControl, op: str) -> str:
    """The server's version that the old data of `op` is of; RestoreDiffers when there is none."""
    note = _reads(aside_of(seat, op).directory / _VERSION)
    if note is None:
        raise RestoreDiffers("the old data of this restore is no longer set aside")
    return note


def drop_aside(seat: ServerControl, op: str) -> None:
    directory = aside_of(seat, op).directory
    if directory.exists():
        shutil.rmtree(directory)


def undo(seat: ServerControl, tree: Path, aside: Aside | None = None) -> str:
    """Back to the directory from before the exchange; says in what state the addon is.

    Too late when the old data was given up already. `aside`: where the data that was to come is
    kept again instead of being removed.
    """
    live, before = seat.place.directory, tree / _BEFORE
    state = "the addon is as it was"
    if before.exists():
        durable.remove(seat.home / _SERVES)
        seat.stop()
        if live.exists():
            durable.move(live, tree / _FAILED)
        durable.move(before, live)
        state = "the addon was put back as it was"
    elif is_settled(seat, tree):
        return "the restored server is in place"
    if is_given_up(seat):
        state = _bereft(seat)
    elif (seat.wanted or (tree / _STOPPED).exists()) and live.exists():
        seat.start()
    for came in (tree / "data", tree / _FAILED):
        if aside is not None and came.exists():
            durable.move(came, aside.data)
    if tree.exists():
        remove(seat, tree)
    return state


def _bereft(seat: ServerControl) -> str:
    lost = "what the addon held before was given up for a restore and is gone"
    if seat.place.directory.exists():
        return f"{lost}; restored data is in its place, but its server did not answer"
    return f"{lost}: it has no data until a restore succeeds"


def _reads(note: Path) -> str | None:
    return note.read_text() if note.exists() else None
