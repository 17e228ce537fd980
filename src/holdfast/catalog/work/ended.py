"""Operations that ended, of all addons, the latest first: what Holdfast did."""

from collections.abc import Collection

from sqlalchemy import select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Drill, Operation, Restore


def operations_before(
    session: ReadSession, project_pks: Collection[int] | None, before: int, limit: int
) -> list[Operation]:
    """Those that ended before an instant; `project_pks` None: of every project."""
    rows = select(Operation).where(Operation.ended < before)
    if project_pks is not None:
        mine = select(Addon.pk).where(Addon.project_pk.in_(project_pks))
        rows = rows.where(Operation.addon_pk.in_(mine))
    return list(session.scalars(rows.order_by(Operation.ended.desc()).limit(limit)))


def drills_before(
    session: ReadSession, project_pks: Collection[int] | None, before_pk: int | None, limit: int
) -> list[Drill]:
    """Drills of all addons, the newest first."""
    rows = select(Drill)
    if before_pk is not None:
        rows = rows.where(Drill.pk < before_pk)
    if project_pks is not None:
        mine = select(Addon.pk).where(Addon.project_pk.in_(project_pks))
        rows = rows.where(Drill.addon_pk.in_(mine))
    return list(session.scalars(rows.order_by(Drill.pk.desc()).limit(limit)))


def restores_before(
    session: ReadSession, project_pks: Collection[int] | None, limit: int
) -> list[Restore]:
    """Restores into all addons, the newest first."""
    rows = select(Restore).where(Restore.completed.is_not(None))
    if project_pks is not None:
        mine = select(Addon.pk).where(Addon.project_pk.in_(project_pks))
        rows = rows.where(Restore.addon_pk.in_(mine))
    return list(session.scalars(rows.order_by(Restore.completed.desc()).limit(limit)))
