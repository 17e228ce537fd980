"""Restores a draft: loads or fetches it, counts it, and puts it in place in one transaction.

The draft belongs to the attempt that loaded it, and the operation records which: a repeated swap
finds it again, or the marker that it was done. While the content is replaced the draft is locked: a
paused attempt keeps the next one waiting, instead of replacing on its return what others have
written since.
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
from holdfast.engines.sqlite.client.scratch import DONE, DRAFT, draft_directory, drop
from holdfast.engines.sqlite.dump.dump import UNSUPPORTED_TABLES
from holdfast.engines.sqlite.imports import load, survey
from holdfast.engines.sqlite.imports.confinement import ConfinedRunner
from holdfast.engines.sqlite.physical import file_copy
from holdfast.engines.sqlite.physical.snapshot import FILE
from holdfast.kit import durable
from holdfast.kit.locks import try_exclusive
from holdfast.kit.processes.guard import Guard

_SPACE_FACTOR = 2  # indexes may be as large as the text


def preflight(tools_dir: Path, path: Path, dump: Dump) -> None:
    problems = [] if os.access(path, os.W_OK) else [f"{path} cannot be written"]
    members = cast("Mapping[str, Mapping[str, Any]]", dump.facts["members"])
    size = 0 if dump.imported else sum(int(facts["bytes"]) for facts in members.values())
    needed = _SPACE_FACTOR * max(size, int(str(dump.facts.get("size", 0))))
    old = path.stat().st_size  # is set aside
    for directory, more in ((path.parent, 0), (tools_dir.parent, old)):
        free = shutil.disk_usage(directory).free
        if free < needed + more:
            available, required = show_bytes(free), show_bytes(needed + more)
            problems.append(f"{directory} has {available} free, {required} are needed")
    if problems:
        raise PreflightRefused("; ".join(problems))


def stage(
    tools_dir: Path, dump: Dump, plain: Iterator[bytes], attempt: Attempt, guard: Guard
) -> Inventory:
    drop(tools_dir, attempt.op, attempt.number)
    room = draft_directory(tools_dir, attempt.op, attempt.number)
    room.mkdir(mode=0o700, parents=True)
    if dump.imported:
        loaded = survey.load(dump.members[0], plain, room / DRAFT, guard)
    else:
        reading = ConfinedRunner(room / DRAFT) if dump.foreign else None
        loaded = load.load(plain, room / DRAFT, guard, reading)
    durable.sync_tree(room)
    unmade = cast("Mapping[str, str]", dump.facts.get(UNSUPPORTED_TABLES, {}))
    return replace(loaded, skipped=(*loaded.skipped, *modules.skipped_tables(unmade)))


def accept(room: Path, facts: Mapping[str, Any]) -> Mapping[str, object]:
    """Makes a fetched snapshot the draft; checks, counts and compares it with its facts."""
    file = room / FILE if (room / FILE).exists() else room / DRAFT
    with opened(file, write=True) as session:
        if is_foreign(facts):
            survey.require_known_modules(session)
        problem = tables.find_damage(session)
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
    durable.sync(file)
    durable.move(file, room / DRAFT)
    return {"tables": len(rows), "rows": sum(rows.values()), DIFFERENCES: differences}


def replace_content(
    room: Path, path: Path, attempt: Attempt, guard: Guard, aside: Path | None = None
) -> None:
    """Replaces the file's content by the draft in `room`; the old content goes to `aside`.

    A repetition must not overwrite what was written after a swap whose end was not recorded:
    replacing raises the file's schema version in the same transaction, which tells.
    """
    with _exclusive(room, guard):
        attempt.confirm()
        draft, before, done_mark = room / DRAFT, room / "before", room / DONE
        # Applications may also have changed the schema, but not to that of the draft.
        if done_mark.exists() or (
            before.exists()
            and _version(path) > int(before.read_text())
            and _schema(path) == _schema(draft)
        ):
            attempt.say("the content was replaced already")
        elif draft.exists():
            durable.write(before, str(_version(path)))
            if aside is not None:
                aside.mkdir(mode=0o700, exist_ok=True)
            file_copy.replace(draft, path, guard, aside / DRAFT if aside else None)
        else:
            raise RestoreDiffers("what was to be restored is gone")
        durable.touch(done_mark)
        draft.unlink(missing_ok=True)


def put_back(aside: Path, path: Path, attempt: Attempt, guard: Guard) -> None:
    if not (aside / DRAFT).exists() and not (aside / DONE).exists():
        raise RestoreDiffers("nothing of this restore is set aside any more")
    replace_content(aside, path, attempt, guard)


def drop_aside(aside: Path) -> None:
    if aside.exists():
        shutil.rmtree(aside)


@contextmanager
def _exclusive(room: Path, guard: Guard) -> Generator[None]:
    if not room.exists():
        raise RestoreDiffers("what was to be restored is gone")
    while (lock := try_exclusive(room / "lock")) is None:
        guard.wait(0.2)
    with lock:
        yield


def _version(path: Path) -> int:
    """The schema version; opening for writing rolls a dead application's journal back."""
    with opened(path, write=True) as session:
        return int(session.execute("PRAGMA schema_version").fetchone()[0])


def _schema(path: Path) -> list[tuple[object, ...]]:
    with opened(path) as session:
        return session.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()


def discard(tools_dir: Path, attempt: Attempt) -> str:
    replaced = (draft_directory(tools_dir, attempt.op, attempt.stage) / DONE).exists()
    drop(tools_dir, attempt.op, attempt.number)
    return "the restored data is in place" if replaced else "the file is as it was"
