"""The audit log: watches what a session changes, and lists the entries.

A `Watch` remembers every row of a logged table as the session first saw it, and compares at the
end. So a verb that is added later is logged automatically, whichever way it writes. The columns
shown of each table are listed here: a new column is not logged until it is added to the list, and
of a secret the log only says that it was replaced.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import ORMExecuteState

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import (
    Addon,
    AlarmRow,
    ArchiveRow,
    AssertionRow,
    AuditEntry,
    Backup,
    ChannelRow,
    Deletion,
    Destination,
    Document,
    Drill,
    DrillPlanRow,
    MonitorRow,
    ObjectiveRow,
    Passkey,
    Project,
    Recovery,
    Report,
    Restore,
    RetentionHold,
    Role,
    Schedule,
    Table,
    Token,
    Upload,
    User,
    WebSession,
)
from holdfast.domain.access import Caller

State = dict[str, Any]

_ROWS_AT_ONCE = 500
MASK = "********"
REPLACED = "******** (replaced)"


@dataclass(frozen=True)
class LoggedTable:
    """What the log shows of a table: columns, entries of `options`, and columns whose values are
    secret. `id` is the column that identifies a row for people."""

    kind: str
    id: str
    columns: tuple[str, ...]
    options: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


_LOGGED: Mapping[type[Table], LoggedTable] = {
    Project: LoggedTable(
        "project", "id", ("name", "description", "color", "region", "cluster", "deleted")
    ),
    Addon: LoggedTable(
        "addon",
        "id",
        (
            *("name", "description", "kind", "version", "managed", "desired", "status"),
            *("host", "port", "user", "database", "tags", "deleted"),
        ),
        secrets=("sealed_password",),
    ),
    ArchiveRow: LoggedTable(
        "archive",
        "pk",
        ("wanted", "days", "interval_s", "unbounded"),
        secrets=("sealed_identity",),
    ),
    Backup: LoggedTable(
        "backup", "id", ("name", "type", "source", "compression", "status", "retained", "deleted")
    ),
    Restore: LoggedTable("restore", "id", ("status",)),
    Drill: LoggedTable(
        "drill", "id", ("status", "instant", "keep_minutes", "kept_until", "opinions")
    ),
    AssertionRow: LoggedTable("assertion", "name", ("name", "text", "seconds", "database")),
    DrillPlanRow: LoggedTable("drill-plan", "pk", ("scheduled", "after_backup", "compare_content")),
    Schedule: LoggedTable(
        "schedule",
        "id",
        (
            *("type", "compression", "interval", "minute", "hour", "day"),
            *("retention", "additional", "deleted", "paused", "paused_reason"),
        ),
    ),
    Upload: LoggedTable("upload", "id", ("size", "sha256", "received")),
    RetentionHold: LoggedTable("retention-hold", "scope", ("placed", "placed_by", "reason")),
    Deletion: LoggedTable("deletion", "pk", ("prefix", "reason", "due", "called_off")),
    Destination: LoggedTable(
        "destination",
        "id",
        ("name", "description", "kind", "prefix", "project_pk", "granted", "deleted"),
        options=(
            *("endpoint", "bucket_name", "region"),
            *("max_parts", "equal_parts", "checksum", "addressing"),
        ),
        secrets=("sealed_secret",),
    ),
    Recovery: LoggedTable("recovery-kit", "pk", (), secrets=("sealed_passphrase",)),
    Token: LoggedTable("token", "id", ("name", "role", "projects", "expires", "revoked")),
    User: LoggedTable(
        "user",
        "id",
        ("name", "role", "projects", "expires", "disabled", "issuer", "subject", "link_expires"),
        secrets=("password_hash", "sealed_totp"),
    ),
    WebSession: LoggedTable("session", "id", ("method", "address", "program", "proven")),
    Passkey: LoggedTable("passkey", "id", ("name",)),
    Role: LoggedTable("role", "id", ("name", "permissions")),
    Report: LoggedTable("report", "number", ("project", "since", "until", "sha256")),
    ObjectiveRow: LoggedTable(
        "objective", "scope", ("max_age_ms", "max_restore_ms", "proof_ms", "places")
    ),
    AlarmRow: LoggedTable(
        "alarm", "id", ("kind", "subject", "acknowledged_by", "snoozed_until", "closed_by")
    ),
    ChannelRow: LoggedTable(
        "channel",
        "id",
        (
            *("name", "kind", "shown", "severity", "projects", "kinds", "resolved", "digest"),
            *("events", "form", "deleted"),
        ),
        secrets=("sealed_settings",),
    ),
    MonitorRow: LoggedTable("monitor", "id", ("name", "every_ms", "grace_ms"), secrets=("digest",)),
}


@dataclass(frozen=True)
class Change:
    """One changed row. `before` None: it is new; `after` None: it is gone; else both hold the
    columns that differ."""

    kind: str
    id: str
    project: str | None
    addon: str | None
    before: Document | None
    after: Document | None


class Watch:
    """Collects the rows that a session changes from now on, and of each what the session itself
    assigned; of a table that it changed by a statement, everything that differs."""

    def __init__(self, session: WriteSession) -> None:
        self._session = session
        self._before: dict[Table, State | None] = {}
        self._assigned: dict[Table, set[str]] = {}
        self._updated: set[type[object]] = set()

        def on_load(_: object, row: Table) -> None:
            logged = _LOGGED.get(type(row))
            if logged is not None:
                self._before.setdefault(row, _state(inspect(row).dict, logged))

        def on_insert(_: object, row: Table) -> None:
            if type(row) in _LOGGED:
                self._before.setdefault(row, None)

        def on_flush(*_: object) -> None:
            for row in session.dirty:
                if type(row) in _LOGGED:
                    self._assigned.setdefault(row, set()).update(_assigned(row, _LOGGED[type(row)]))

        def on_execute(state: ORMExecuteState) -> None:
            if state.is_update and state.bind_mapper is not None:
                self._updated.add(state.bind_mapper.class_)

        event.listen(session, "before_flush", on_flush)
        event.listen(session, "do_orm_execute", on_execute)
        event.listen(session, "loaded_as_persistent", on_load)
        event.listen(session, "pending_to_persistent", on_insert)

    def changes(self) -> list[Change]:
        """The changed rows, in the order in which the session saw them."""
        self._session.flush()
        changes: list[Change] = []
        watched = list(self._before.items())
        now = {table: self._read_now(table, watched) for table in {type(row) for row, _ in watched}}
        for row, first_seen in watched:
            logged, identity = _LOGGED[type(row)], inspect(row).identity
            after = now[type(row)].get(identity[0]) if identity else None
            before = first_seen
            if before is not None and after is not None and type(row) not in self._updated:
                # What others changed meanwhile counts as changed before: this caller did not do it.
                own = self._assigned.get(row, set())
                before = {key: before[key] if key in own else after[key] for key in after}
            if before != after:
                project, addon = self._owner_of(row)
                name = str((after or before or {})[logged.id])
                replaced = MASK
                if before is not None and after is not None:  # only what changed is shown
                    changed = [key for key in after if before.get(key) != after[key]]
                    before = {key: before.get(key) for key in changed}
                    after = {key: after[key] for key in changed}
                    replaced = REPLACED
                shown = _shown(logged, before, MASK), _shown(logged, after, replaced)
                changes.append(Change(logged.kind, name, project, addon, *shown))
        return changes

    def _read_now(
        self, table: type[Table], rows: Iterable[tuple[Table, object]]
    ) -> dict[int, State]:
        """The rows as the database has them: some verbs change rows without loading them."""
        logged = _LOGGED[table]
        keys = [inspect(row).identity for row, _ in rows if type(row) is table]
        pks = [key[0] for key in keys if key]
        columns = [getattr(table, name) for name in ("pk", *_columns(logged))]
        states: dict[int, State] = {}
        for start in range(0, len(pks), _ROWS_AT_ONCE):
            statement = select(*columns).where(columns[0].in_(pks[start : start + _ROWS_AT_ONCE]))
            for values in self._session.execute(statement):
                named = dict(zip(("pk", *_columns(logged)), values, strict=True))
                states[named["pk"]] = _state(named, logged)
        return states

    def _owner_of(self, row: Table) -> tuple[str | None, str | None]:
        """The ids of the project and the addon that a row belongs to."""
        if isinstance(row, Project):
            return row.id, None
        if isinstance(row, Report):
            return row.project, None
        addon_pk = row.pk if isinstance(row, Addon) else getattr(row, "addon_pk", None)
        if addon_pk is None:
            return None, None
        addon = self._session.get_one(Addon, addon_pk)
        return self._session.get_one(Project, addon.project_pk).id, addon.id


def _columns(logged: LoggedTable) -> tuple[str, ...]:
    more = ("options",) if logged.options else ()
    return tuple(dict.fromkeys((logged.id, *logged.columns, *logged.secrets, *more)))


def _state(values: Mapping[str, Any], logged: LoggedTable) -> State:
    """The logged values of a row, sealed secrets included to detect that they were replaced."""
    state = {name: values.get(name) for name in _columns(logged) if name != "options"}
    options: State = values.get("options") or {}
    return state | {name: options.get(name) for name in logged.options}


def _assigned(row: Table, logged: LoggedTable) -> set[str]:
    """The logged names that hold another value than was read, before a flush writes it."""
    attributes = inspect(row).attrs
    columns = (*logged.columns, *logged.secrets, *(["options"] if logged.options else []))
    changed = {name for name in columns if attributes[name].history.has_changes()}
    return changed | set(logged.options if "options" in changed else ())


def _shown(logged: LoggedTable, state: State | None, mask: str) -> Document | None:
    """The state as the log shows it: secrets masked, nulls left out."""
    if state is None:
        return None
    return {
        name.removeprefix("sealed_"): mask if name in logged.secrets else value
        for name, value in state.items()
        if value is not None
    }


@dataclass(frozen=True)
class Criteria:
    """Filters of entries: instants in ms since 1970, `until` excluded; None means any."""

    since: int | None = None
    until: int | None = None
    actor: str | None = None
    kind: str | None = None
    object: str | None = None
    project: str | None = None
    addon: str | None = None
    request: str | None = None


def listed(
    session: ReadSession, caller: Caller, page: Page, criteria: Criteria
) -> Slice[AuditEntry]:
    """The newest entries first; a caller restricted to projects sees those of these projects."""
    rows = select(AuditEntry)
    if caller.projects is not None:
        rows = rows.where(AuditEntry.project.in_(sorted(caller.projects)))
    if criteria.since is not None:
        rows = rows.where(AuditEntry.at >= criteria.since)
    if criteria.until is not None:
        rows = rows.where(AuditEntry.at < criteria.until)
    if criteria.actor is not None:
        rows = rows.where(
            (AuditEntry.token == criteria.actor) | (AuditEntry.actor == criteria.actor)
        )
    for name in ("kind", "object", "project", "addon", "request"):
        value = getattr(criteria, name)
        if value is not None:
            rows = rows.where(getattr(AuditEntry, name) == value)
    return take(session, rows, AuditEntry.pk, page, "audit-log")
