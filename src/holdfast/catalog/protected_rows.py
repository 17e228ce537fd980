"""Reads what is known of the protection of addons, one row each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Text, cast, func, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, ArchiveLine, ArchiveRow, Backup, ProtectionRow
from holdfast.domain.archive.archiving import Archiving
from holdfast.domain.errors import NotFound
from holdfast.domain.protection import Day, Facts

_AT_ONCE = 500
"""Keys in one statement."""


@dataclass(frozen=True, slots=True)
class ProtectedRow:
    """What is known of one living addon; `kind` and `version` are its engine's, `bytes` all its
    good copies'."""

    addon_pk: int
    project_pk: int
    id: str
    name: str
    kind: str
    version: str
    facts: Facts
    bytes: int
    tags: Sequence[str]
    days: Sequence[Day] = ()


def rows_of(session: ReadSession, project_pks: Collection[int] | None) -> list[ProtectedRow]:
    """Every living addon, without its days. `project_pks` None: of all projects."""
    listed = _ROWS if project_pks is None else _ROWS.where(Addon.project_pk.in_(project_pks))
    return [_protected(row) for row in session.execute(listed)]


def row_of(session: ReadSession, addon_pk: int) -> ProtectedRow:
    """One addon with its days. NotFound when it is deleted."""
    row = session.execute(_ROWS.where(Addon.pk == addon_pk)).one_or_none()
    if row is None:
        raise NotFound("this addon is deleted")
    days = session.scalar(select(ProtectionRow.days).where(ProtectionRow.addon_pk == addon_pk))
    return replace(_protected(row), days=[Day(**day) for day in days or ()])


def day_texts(session: ReadSession, addon_pks: Collection[int]) -> dict[int, str]:
    """The remembered days of some addons as JSON, an array of `domain.protection.Day`."""
    texts: dict[int, str] = {}
    ordered = sorted(addon_pks)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ProtectionRow.addon_pk.in_(ordered[start : start + _AT_ONCE])
        rows: Any = session.execute(_DAY_TEXTS.where(some))
        texts.update({addon_pk: text for addon_pk, text in rows if text})
    return texts


_DAY_TEXTS: Any = select(ProtectionRow.addon_pk, cast(ProtectionRow.days, Text))


def marks(session: ReadSession) -> dict[int, object]:
    """What pages show of each addon, by key, to compare with another look."""
    return {row[0]: tuple(row) for row in session.execute(_MARKS)}


_MARKS: Any = select(
    ProtectionRow.addon_pk,
    ProtectionRow.planned,
    ProtectionRow.paused,
    ProtectionRow.plan_paused,
    ProtectionRow.next_due,
    ProtectionRow.last_good_backup,
    ProtectionRow.places,
    ProtectionRow.lost,
    ProtectionRow.failing,
    ProtectionRow.failure,
    ProtectionRow.proven,
    ProtectionRow.drill_failing,
    ProtectionRow.bytes,
    ProtectionRow.window_line,
    ProtectionRow.window_end,
    ProtectionRow.gaps,
    ProtectionRow.unreached,
)


def newest_sizes(session: ReadSession) -> dict[int, int]:
    """Bytes of the newest good backup of each addon that has one, by key."""
    sizes = select(ProtectionRow.addon_pk, Backup.size).join(
        Backup, Backup.pk == ProtectionRow.last_good_backup
    )
    return dict(session.execute(sizes).all())


_FACTS = [getattr(ProtectionRow, f.name) for f in fields(Facts) if f.name != "archiving"]
_ARCHIVING: list[Any] = [
    ArchiveRow.wanted,
    ArchiveRow.state,
    ArchiveRow.since,
    ArchiveRow.interval_s,
    ArchiveRow.checked,
    ArchiveRow.reason,
    ArchiveRow.behind,
    ArchiveRow.slack,
    ArchiveRow.slack_limit,
    ArchiveRow.bytes,
    ProtectionRow.window_begin,
    func.coalesce(ArchiveLine.head_clock, ProtectionRow.window_end),
    func.coalesce(ProtectionRow.gaps, 0),
    ProtectionRow.unreached,
    ProtectionRow.has_hole,
]
"""In the order of `Archiving`."""
_ROWS: Any = (
    select(
        Addon.pk,
        Addon.project_pk,
        Addon.id,
        Addon.name,
        Addon.kind,
        Addon.version,
        ProtectionRow.bytes,
        Addon.tags,
        *_ARCHIVING,
        *_FACTS,
    )
    .join(ProtectionRow, Addon.pk == ProtectionRow.addon_pk)
    .outerjoin(ArchiveRow, ArchiveRow.addon_pk == Addon.pk)
    .outerjoin(ArchiveLine, ArchiveLine.pk == ProtectionRow.window_line)
    .where(Addon.deleted.is_(None))
    .order_by(Addon.pk)
)


def _protected(row: Any) -> ProtectedRow:
    addon_pk, project_pk, identifier, name, kind, version, stored, tags, *values = row
    archived, values = values[: len(_ARCHIVING)], values[len(_ARCHIVING) :]
    archiving = None if archived[0] is None else Archiving(*archived)
    facts = Facts(*values, archiving=archiving)
    return ProtectedRow(addon_pk, project_pk, identifier, name, kind, version, facts, stored, tags)
