"""Puts another data directory in place of the live one, or goes back.

Every move is one rename. Whoever comes after a crash sees from where the directories are, and from
notes beside them, what was done; so each function may be repeated. Hold the seat meanwhile.

    <home>/restore-<op>/data     the restored data, until it is in place
    <home>/restore-<op>/before   the old data, until the restored server has answered
    <home>/restore-<op>/stopped  the server of an attached addon ran, and we stopped it
    <home>/restored              which restore's data serves, with the old data given up
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from holdfast.domain.errors import RestoreDiffers
from holdfast.jobs.seats import Seat
from holdfast.jobs.servers import BESIDE

_BEFORE = "before"
_STOPPED = "stopped"
_SERVES = "restored"


def exchange(seat: Seat, tree: Path, say: Callable[[str], None]) -> None:
    """Puts `tree / "data"` in place of the live directory, which waits in `tree / "before"`.

    The old one goes when the restored server has answered. After a Failure `undo` goes back.
    """
    live, ready = seat.place.directory, tree / "data"
    if ready.exists():
        if not seat.wanted and seat.runs():
            (tree / _STOPPED).touch()  # nobody else would start it again
            _sync(tree)
        seat.stop()
        if live.exists():
            _move(live, tree / _BEFORE)
        _move(ready, live)
    elif not (tree / _BEFORE).exists() and not _is_settled(seat, tree):
        raise RestoreDiffers("an attempt before this one went back to the old data")
    seat.start()
    _settle(seat, tree, say)


def _is_settled(seat: Seat, tree: Path) -> bool:
    """Does this restore's data serve, with the old data given up?"""
    return _reads(seat.home / _SERVES) == tree.name


def _settle(seat: Seat, tree: Path, say: Callable[[str], None]) -> None:
    """From the second move on there is no way back: what is removed may be half removed."""
    _write(seat.home / _SERVES, tree.name)
    before = tree / _BEFORE
    if before.exists():
        _move(before, tree / "gone")
    try:
        _forget(seat, tree)
    except OSError as error:
        say(f"not all of what was there before could be removed: {error}")


def _forget(seat: Seat, tree: Path) -> None:
    """Older restores and the old data; tablespaces live on where they were restored."""
    lasting = tree / "tablespaces"
    for each in seat.home.glob(f"{BESIDE}*"):
        if each != tree or not lasting.exists():
            shutil.rmtree(each)
    if lasting.exists():
        for each in tree.iterdir():
            if each.is_dir() and each != lasting:
                shutil.rmtree(each)
        (tree / _STOPPED).unlink(missing_ok=True)


def goes_back(seat: Seat, tree: Path) -> bool:
    """Would `undo` leave the old data in place?"""
    return (tree / _BEFORE).exists() or not _is_settled(seat, tree)


def undo(seat: Seat, tree: Path) -> str:
    """Back to the directory from before the exchange; says in what state the addon is.

    Too late when the old data was given up already.
    """
    live, before = seat.place.directory, tree / _BEFORE
    state = "the addon is as it was"
    if before.exists():
        (seat.home / _SERVES).unlink(missing_ok=True)
        seat.stop()
        if live.exists():
            _move(live, tree / "failed")
        _move(before, live)
        state = "the addon was put back as it was"
    elif _is_settled(seat, tree):
        return "the restored server is in place"
    if (seat.wanted or (tree / _STOPPED).exists()) and live.exists():
        seat.start()
    if tree.exists():
        shutil.rmtree(tree)
    return state


def _reads(note: Path) -> str | None:
    return note.read_text() if note.exists() else None


def _write(note: Path, text: str) -> None:
    """There whole or not at all."""
    draft = note.with_name(f"{note.name}.new")
    draft.write_text(text)
    _move(draft, note)


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
