"""Restoring: a draft of ours, loaded or fetched, counted, then put in place in one transaction.

The draft belongs to the attempt that loaded it, and the operation remembers which: a swap that is
repeated finds it again, or the note that it was done. While the content is replaced the draft is
locked, so that an attempt which was paused in the middle of it keeps the next one waiting instead
of replacing, when it wakes up, what others have written since.
"""

import os
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from holdfast.contracts.engine import Attempt, Dump, Inventory
from holdfast.contracts.local_servers import DIFFERENCES, is_foreign
from holdfast.domain.errors import EvidenceMissing, PreflightRefused, RestoreDiffers
from holdfast.domain.units import show_bytes
from holdfast.engines.sqlite.client import modules, tables
from holdfast.engines.sqlite.client.location import opened
from holdfast.engines.sqlite.client.scratch import DONE, DRAFT, drop
from holdfast.engines.sqlite.client.scratch import room as room_of
from holdfast.engines.sqlite.dump.dump import UNMADE
from holdfast.engines.sqlite.imports import load, survey
from holdfast.engines.sqlite.imports.confinement import Stranger
from holdfast.engines.sqlite.physical import file_copy
from holdfast.engines.sqlite.physical.snapshot import FILE
from holdfast.kit import durable
from holdfast.kit.locks import try_exclusive
from holdfast.kit.processes.guard import Guard

_ROOM = 2  # indexes may be as large as the text again


def preflight(tools_dir: Path, path: Path, dump: Dump) -> None:
    problems = [] if os.access(path, os.W_OK) else [f"{path} cannot be written"]
    members = cast("Mapping[str, Mapping[str, Any]]", dump.facts["members"])
    size = 0 if dump.imported else sum(int(facts["bytes"]) for facts in members.values())
    needed = _ROOM * max(size, int(str(dump.facts.get("size", 0))))
    old = path.stat().st_size  # is set aside
    for place, more in ((path.parent, 0), (tools_dir.parent, old)):
        free = shutil.disk_usage(place).free
        if free < needed + more:
            there, wanted = show_bytes(free), show_bytes(needed + more)
            problems.append(f"{place} has {there} free, {wanted} are needed")
    if problems:
        raise PreflightRefused("; ".join(problems))


def stage(
    tools_dir: Path, dump: Dump, plain: Iterator[bytes], attempt: Attempt, guard: Guard
) -> Inventory:
    drop(tools_dir, attempt.op, attempt.number)
    room = room_of(tools_dir, attempt.op, attempt.number)
    room.mkdir(mode=0o700, parents=True)
    if dump.imported:
        loaded = survey.load(dump.members[0], plain, room / DRAFT, guard)
    else:
        reading = Stranger(room / DRAFT) if dump.foreign else None
        loaded = load.load(plain, room / DRAFT, guard, reading)
    durable.sync_tree(room)
    unmade = cast("Mapping[str, str]", dump.facts.get(UNMADE, {}))
    return replace(loaded, skipped=(*loaded.skipped, *modules.left_out(unmade)))


def accept(room: Path, facts: Mapping[str, Any]) -> Mapping[str, object]:
    """What a snapshot brought becomes the draft when it holds what its facts say."""
    came = room / FILE if (room / FILE).exists() else room / DRAFT
    with opened(came, write=True) as session:
        if is_foreign(facts):
            survey.require_known_modules(session)
        problem = tables.require_sound(session)
        if problem is not None:
            raise EvidenceMissing(f"the snapshot is damaged: {problem}")
        rows = {table.name: table.rows for table in tables.inventory(session).tables}
    saved: Mapping[str, int] = facts["rows"]
    differences = [
        f"table {name}: {saved.get(name, 'no such table')} rows saved,"
        f" {rows.get(name, 'no such table')} restored"
        for name in sorted(saved.keys() | rows.keys())
        if saved.get(name) != rows.get(name)
    ]
    durable.sync(came)
    durable.move(came, room / DRAFT)
    return {"tables": len(rows), "rows": sum(rows.values()), DIFFERENCES: differences}


def replace_content(
    room: Path, path: Path, attempt: Attempt, guard: Guard, aside: Path | None = None
) -> None:
    """The old content goes to `aside`, which is a room like others.

    What others wrote after a swap whose end nobody noted is not overwritten by its repetition.

    Replacing raises the file's schema version by one, in the same transaction: that tells.
    """
    with _alone(room, guard):
        attempt.confirm()
        _refill(room, path, attempt, guard, aside)


def put_back(aside: Path, path: Path, attempt: Attempt, guard: Guard) -> None:
    if not (aside / DRAFT).exists() and not (aside / DONE).exists():
        raise RestoreDiffers("nothing of this restore is set aside any more")
    replace_content(aside, path, attempt, guard)


def drop_aside(aside: Path) -> None:
    if aside.exists():
        shutil.rmtree(aside)


@contextmanager
def _alone(room: Path, guard: Guard) -> Generator[None]:
    if not room.exists():
        raise RestoreDiffers("what was to be restored is gone")
    while (lock := try_exclusive(room / "lock")) is None:
        guard.wait(0.2)
    with lock:
        yield


def _refill(room: Path, path: Path, attempt: Attempt, guard: Guard, aside: Path | None) -> None:
    made, before, done = room / DRAFT, room / "before", room / DONE
    if done.exists() or (before.exists() and _was_replaced(path, made, int(before.read_text()))):
        attempt.say("the content was replaced already")
    elif made.exists():
        durable.write(before, str(_version(path)))
        if aside is not None:
            aside.mkdir(mode=0o700, exist_ok=True)
        file_copy.replace(made, path, guard, aside / DRAFT if aside else None)
    else:
        raise RestoreDiffers("what was to be restored is gone")
    durable.touch(done)
    made.unlink(missing_ok=True)


def _version(path: Path) -> int:
    """Opened for writing: the journal of an application that died is rolled back first."""
    with opened(path, write=True) as session:
        return int(session.execute("PRAGMA schema_version").fetchone()[0])


def _was_replaced(path: Path, made: Path, before: int) -> bool:
    """Others may have changed the schema, too, but not to be that of the draft."""
    return _version(path) > before and _schema(path) == _schema(made)


def _schema(path: Path) -> list[tuple[object, ...]]:
    with opened(path) as session:
        return session.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()


def discard(tools_dir: Path, attempt: Attempt) -> str:
    done = (room_of(tools_dir, attempt.op, attempt.stage) / DONE).exists()
    drop(tools_dir, attempt.op, attempt.number)
    return "the restored data is in place" if done else "the file is as it was"
