"""Restoring a dump: loaded into a draft of ours, counted, then put in place in one transaction.

The draft belongs to the operation, not to an attempt: a swap that is repeated finds it again, or
the note that it was done.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from holdfast.contracts.engine import Attempt, Dump, Inventory
from holdfast.domain.errors import PreflightRefused, RestoreDiffers
from holdfast.domain.units import show_bytes
from holdfast.engines.sqlite import copying, loading, tables
from holdfast.engines.sqlite.location import opened
from holdfast.engines.sqlite.scratch import DONE, draft, drop
from holdfast.kit.guard import Guard

_ROOM = 2  # indexes may be as large as the text again


def preflight(tools_dir: Path, path: Path, dump: Dump) -> None:
    problems = [] if os.access(path, os.W_OK) else [f"{path} cannot be written"]
    members = cast("Mapping[str, Mapping[str, Any]]", dump.facts["members"])
    needed = _ROOM * sum(int(facts["bytes"]) for facts in members.values())
    for place in (path.parent, tools_dir.parent):
        free = shutil.disk_usage(place).free
        if free < needed:
            problems.append(f"{place} has {show_bytes(free)} free, {show_bytes(needed)} are needed")
    if problems:
        raise PreflightRefused("; ".join(problems))


def stage(tools_dir: Path, plain: Iterator[bytes], attempt: Attempt, guard: Guard) -> Inventory:
    drop(tools_dir, attempt.op)
    made = draft(tools_dir, attempt.op)
    made.parent.mkdir(mode=0o700, parents=True)
    return loading.load(plain, made, guard)


def swap(tools_dir: Path, path: Path, wanted: Inventory, attempt: Attempt, guard: Guard) -> None:
    """What others wrote after a swap whose end nobody noted is not overwritten by its repetition.

    Replacing raises the file's schema version by one, in the same transaction: that tells.
    """
    made = draft(tools_dir, attempt.op)
    before, done = made.parent / "before", made.parent / DONE
    if done.exists() or (before.exists() and _was_replaced(path, int(before.read_text()), wanted)):
        attempt.say("the content was replaced already")
    elif made.exists():
        before.write_text(str(_version(path)))
        attempt.say("replacing the content; whoever has the file open sees the old or the new")
        copying.replace(made, path, guard)
    else:
        raise RestoreDiffers("what was loaded is gone")
    done.touch()
    made.unlink(missing_ok=True)


def _version(path: Path) -> int:
    with opened(path) as session:
        return int(session.execute("PRAGMA schema_version").fetchone()[0])


def _was_replaced(path: Path, before: int, wanted: Inventory) -> bool:
    with opened(path) as session:
        found = {table.name for table in tables.inventory(session).tables}
    return _version(path) > before and found == {table.name for table in wanted.tables}


def discard(tools_dir: Path, op: str) -> str:
    done = (draft(tools_dir, op).parent / DONE).exists()
    drop(tools_dir, op)
    return "the restored data is in place" if done else "the file is as it was"
