"""What people and programs changed, and what Holdfast did by itself, as one stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.catalog import projects
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.work import ended
from holdfast.domain.access import Caller
from holdfast.domain.operation import Kind, Status
from holdfast.views.dashboard.changes import names_of

_WORDS: Mapping[Kind, str] = {
    Kind.BACKUP: "dump",
    Kind.SNAPSHOT: "snapshot",
    Kind.RESTORE: "restore",
    Kind.RESTORE_IN_PLACE: "restore in place",
    Kind.RECOVER: "recovery to a point in time",
    Kind.RESTORE_OPEN_FILE: "restore in place",
    Kind.UNDO: "putting old data back",
    Kind.REPLICATE: "copy",
    Kind.REPAIR: "repair of a copy",
    Kind.PRUNE: "pruning of a repository",
    Kind.DROP_OLD: "removal of old data",
    Kind.DRILL: "drill",
    Kind.PROVISION: "start of a new server",
    Kind.PAUSE: "pause",
    Kind.RESUME: "resume",
    Kind.RESTART: "restart",
    Kind.RESET: "reset",
    Kind.DELETE: "deletion",
}


@dataclass(frozen=True, slots=True)
class Act:
    """One operation that ended. Instants in ms since 1970."""

    at: int
    project_id: str
    addon_id: str
    text: str
    status: Status
    details: str
    took_ms: int | None


def acts(session: ReadSession, caller: Caller, before: int, limit: int) -> Sequence[Act]:
    """Operations that ended before an instant, the latest first."""
    project_pks = None
    if caller.projects is not None:
        living = projects.living_ids(session)
        project_pks = [pk for pk, project_id in living.items() if caller.sees(project_id)]
    rows = ended.operations_before(session, project_pks, before, limit)
    names = names_of(session, {row.addon_pk for row in rows})
    return [
        Act(
            at=row.ended,
            project_id=names[row.addon_pk][0],
            addon_id=names[row.addon_pk][1],
            text=f"{_WORDS.get(Kind(row.kind), row.kind)} of {names[row.addon_pk][1]}",
            status=Status(row.status),
            details=row.reason or "",
            took_ms=None if row.started is None else row.ended - row.started,
        )
        for row in rows
        if row.ended is not None
    ]


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """`retention: 7 → 5`, of the fields that an audit entry has."""
    names: dict[str, None] = {**dict.fromkeys(before or ()), **dict.fromkeys(after or ())}
    return [f"{name}: {_shown(before, name)} → {_shown(after, name)}" for name in names]


def _shown(fields: Mapping[str, Any] | None, name: str) -> str:
    if fields is None or name not in fields:
        return "—"
    value = fields[name]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
