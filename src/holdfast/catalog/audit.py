"""The audit log: what a session changes is watched, written beside it, and listed.

A `Watch` remembers every row of interest as it was when the session first saw it and compares at
the end. So a verb that is added later is in the log without having to think of it, whichever way
it writes. What is shown of each table is a list of columns here: a new column is not in the log
until somebody adds it, and a secret is only ever said to be another one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, inspect, select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import (
    Addon,
    AuditEntry,
    Backup,
    Deletion,
    Destination,
    Document,
    ObjectiveRow,
    Project,
    Recovery,
    Restore,
    Role,
    Schedule,
    Table,
    Token,
    Upload,
)
from holdfast.domain.access import Caller

State = dict[str, Any]

_AT_ONCE = 500
MASK = "********"
REPLACED = "******** (replaced)"


@dataclass(frozen=True)
class Seen:
    """What the log shows of a table: columns, entries of `options`, and columns whose values are
    secret. `id` names a row to people."""

    kind: str
    id: str
    columns: tuple[str, ...]
    options: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


_SEEN: Mapping[type[Table], Seen] = {
    Project: Seen(
        "project", "id", ("name", "description", "color", "region", "cluster", "deleted")
    ),
    Addon: Seen(
        "addon",
        "id",
        (
            *("name", "description", "kind", "version", "managed", "desired", "status"),
            *("host", "port", "user", "database", "tags", "deleted"),
        ),
        secrets=("sealed_password",),
    ),
    Backup: Seen(
        "backup", "id", ("name", "type", "source", "compression", "status", "retained", "deleted")
    ),
    Restore: Seen("restore", "id", ("status",)),
    Schedule: Seen(
        "schedule",
        "id",
        (
            *("type", "compression", "interval", "minute", "hour", "day"),
            *("retention", "additional", "deleted"),
        ),
    ),
    Upload: Seen("upload", "id", ("size", "sha256", "received")),
    Deletion: Seen("deletion", "pk", ("prefix", "reason", "due", "called_off")),
    Destination: Seen(
        "destination",
        "id",
        ("name", "description", "kind", "prefix", "project_pk", "granted", "deleted"),
        options=(
            *("endpoint", "bucket_name", "region"),
            *("max_parts", "equal_parts", "checksum", "addressing"),
        ),
        secrets=("sealed_secret",),
    ),
    Recovery: Seen("recovery-kit", "pk", (), secrets=("sealed_passphrase",)),
    Token: Seen("token", "id", ("name", "role", "projects", "expires", "revoked")),
    Role: Seen("role", "id", ("name", "permissions")),
    ObjectiveRow: Seen(
        "objective", "scope", ("max_age_ms", "max_restore_ms", "proof_ms", "places")
    ),
}


@dataclass(frozen=True)
class Change:
    """One row that is other than it was. `before` None: it is new; `after` None: it is gone; else
    both hold what differs."""

    kind: str
    id: str
    project: str | None
    addon: str | None
    before: Document | None
    after: Document | None


class Watch:
    """What one session changes, from its making on."""

    def __init__(self, session: WriteSession) -> None:
        self._session = session
        self._before: dict[Table, State | None] = {}
        event.listen(session, "loaded_as_persistent", self._loaded)
        event.listen(session, "pending_to_persistent", self._made)

    def _loaded(self, _: object, row: Table) -> None:
        seen = _SEEN.get(type(row))
        if seen is not None:
            self._before.setdefault(row, _state(inspect(row).dict, seen))

    def _made(self, _: object, row: Table) -> None:
        if type(row) in _SEEN:
            self._before.setdefault(row, None)

    def changes(self) -> list[Change]:
        """In the order in which the rows were seen."""
        self._session.flush()
        return [*self._found()]

    def _found(self) -> Iterator[Change]:
        watched = list(self._before.items())
        now = {table: self._now(table, watched) for table in {type(row) for row, _ in watched}}
        for row, before in watched:
            seen, identity = _SEEN[type(row)], inspect(row).identity
            after = now[type(row)].get(identity[0]) if identity else None
            if before != after:
                project, addon = self._place(row)
                name = str((after or before or {})[seen.id])
                yield Change(seen.kind, name, project, addon, *_told(seen, before, after))

    def _now(self, table: type[Table], rows: Iterable[tuple[Table, object]]) -> dict[int, State]:
        """As the database has it: some verbs change rows without loading them."""
        seen = _SEEN[table]
        keys = [inspect(row).identity for row, _ in rows if type(row) is table]
        pks = [key[0] for key in keys if key]
        columns = [getattr(table, name) for name in ("pk", *_read(seen))]
        found: dict[int, State] = {}
        for start in range(0, len(pks), _AT_ONCE):
            some = select(*columns).where(columns[0].in_(pks[start : start + _AT_ONCE]))
            for values in self._session.execute(some):
                named = dict(zip(("pk", *_read(seen)), values, strict=True))
                found[named["pk"]] = _state(named, seen)
        return found

    def _place(self, row: Table) -> tuple[str | None, str | None]:
        """The ids of the project and the addon that a row belongs to."""
        if isinstance(row, Project):
            return row.id, None
        addon = row if isinstance(row, Addon) else self._addon_of(row)
        if addon is None:
            return None, None
        return self._session.get_one(Project, addon.project_pk).id, addon.id

    def _addon_of(self, row: Table) -> Addon | None:
        pk = getattr(row, "addon_pk", None)
        return None if pk is None else self._session.get_one(Addon, pk)


def _read(seen: Seen) -> tuple[str, ...]:
    more = ("options",) if seen.options else ()
    return tuple(dict.fromkeys((seen.id, *seen.columns, *seen.secrets, *more)))


def _state(values: Mapping[str, Any], seen: Seen) -> State:
    """What the log may show, and what tells it that a secret is another one."""
    found = {name: values.get(name) for name in _read(seen) if name != "options"}
    options: State = values.get("options") or {}
    return found | {name: options.get(name) for name in seen.options}


def _told(
    seen: Seen, before: State | None, after: State | None
) -> tuple[Document | None, Document | None]:
    if before is None or after is None:
        return _shown(seen, before, MASK), _shown(seen, after, MASK)
    changed = [name for name in after if before.get(name) != after[name]]
    return (
        _shown(seen, {name: before.get(name) for name in changed}, MASK),
        _shown(seen, {name: after[name] for name in changed}, REPLACED),
    )


def _shown(seen: Seen, state: State | None, mask: str) -> Document | None:
    """Values that are not there are left out."""
    if state is None:
        return None
    return {
        name.removeprefix("sealed_"): mask if name in seen.secrets else value
        for name, value in state.items()
        if value is not None
    }


@dataclass(frozen=True)
class Wanted:
    """Which entries: instants in ms since 1970, `until` not included; None means any."""

    since: int | None = None
    until: int | None = None
    actor: str | None = None
    kind: str | None = None
    object: str | None = None
    project: str | None = None
    addon: str | None = None
    request: str | None = None


def listed(session: ReadSession, caller: Caller, page: Page, wanted: Wanted) -> Slice[AuditEntry]:
    """The newest first; a caller restricted to projects sees what was changed in these."""
    rows = select(AuditEntry)
    if caller.projects is not None:
        rows = rows.where(AuditEntry.project.in_(sorted(caller.projects)))
    if wanted.since is not None:
        rows = rows.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        rows = rows.where(AuditEntry.at < wanted.until)
    if wanted.actor is not None:
        rows = rows.where((AuditEntry.token == wanted.actor) | (AuditEntry.actor == wanted.actor))
    for name in ("kind", "object", "project", "addon", "request"):
        value = getattr(wanted, name)
        if value is not None:
            rows = rows.where(getattr(AuditEntry, name) == value)
    return take(session, rows, AuditEntry.pk, page, "audit-log")
