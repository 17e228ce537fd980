"""What is under way: reads of operation rows that change nothing."""

from collections.abc import Collection

from sqlalchemy import case, func, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Document, Drill, Operation, Restore
from holdfast.domain.operation import ALONE_SLOT, MOVES, OVER, Kind, Status


def last_failure(session: ReadSession, addon_pk: int) -> str | None:
    """Why the addon's latest failed operation failed."""
    failed = select(Operation.reason).where(
        Operation.addon_pk == addon_pk, Operation.status == Status.FAILED
    )
    return session.scalar(failed.order_by(Operation.pk.desc()).limit(1))


def states(session: ReadSession, running: Collection[str]) -> dict[str, tuple[Status, int]]:
    """Status and fence of the named operations: how a worker learns of aborts and takeovers."""
    rows = session.execute(
        select(Operation.id, Operation.status, Operation.fence).where(Operation.id.in_(running))
    )
    return {op: (Status(status), fence) for op, status, fence in rows}


def busy_with(session: ReadSession, addon_pks: Collection[int]) -> dict[int, str]:
    """The kind of the operation that runs on each addon, but for work beside it."""
    rows = session.execute(
        select(Operation.addon_pk, Operation.kind).where(
            Operation.slot == ALONE_SLOT,
            Operation.addon_pk.in_(addon_pks),
            Operation.status.in_((Status.IN_PROGRESS, Status.ABORTING)),
        )
    )
    return {row.addon_pk: row.kind for row in rows}


def under_way(
    session: ReadSession, kinds: Collection[Kind], project_pks: Collection[int] | None, limit: int
) -> list[Operation]:
    """Operations of these kinds that run or wait, those that run first, then the oldest.

    `project_pks` None: of every project."""
    rows = select(Operation).where(Operation.status.in_(_OPEN), Operation.kind.in_(kinds))
    if project_pks is not None:
        addon_pks = select(Addon.pk).where(Addon.project_pk.in_(project_pks))
        rows = rows.where(Operation.addon_pk.in_(addon_pks))
    order = case((Operation.status == Status.SCHEDULED, 1), else_=0), Operation.pk
    return list(session.scalars(rows.order_by(*order).limit(limit)))


def ended_since(
    session: ReadSession, kinds: Collection[Kind], project_pks: Collection[int] | None, since: int
) -> dict[tuple[Kind, Status], int]:
    """How many operations of these kinds ended since then, by kind and how they ended."""
    rows = select(Operation.kind, Operation.status, func.count()).where(
        Operation.ended >= since, Operation.kind.in_(kinds)
    )
    if project_pks is not None:
        addon_pks = select(Addon.pk).where(Addon.project_pk.in_(project_pks))
        rows = rows.where(Operation.addon_pk.in_(addon_pks))
    counted = session.execute(rows.group_by(Operation.kind, Operation.status))
    return {(Kind(kind), Status(status)): count for kind, status, count in counted}


def is_busy(session: ReadSession, addon_pk: int) -> bool:
    """Whether an operation holds the addon's slot."""
    statement = select(Operation.pk).where(
        Operation.addon_pk == addon_pk, Operation.slot == ALONE_SLOT
    )
    return session.scalar(statement.limit(1)) is not None


def open_of_addon(session: ReadSession, addon_pk: int) -> list[Operation]:
    return list(
        session.scalars(
            select(Operation)
            .where(Operation.addon_pk == addon_pk, Operation.status.in_(_OPEN))
            .order_by(Operation.pk)
        )
    )


def restores_from(session: ReadSession, backup_pk: int) -> bool:
    """Whether this backup is being restored."""
    return any(
        session.scalar(
            select(table.pk).where(table.backup_pk == backup_pk, table.status.in_(_OPEN)).limit(1)
        )
        for table in (Restore, Drill)
    )


_OPEN = [status for status in MOVES if status not in OVER]


def progress_of(session: ReadSession, ops: Collection[str]) -> dict[str, Document]:
    """The last reported progress of each operation, with its last finished step."""
    rows = session.execute(
        select(Operation.id, Operation.step, Operation.progress).where(Operation.id.in_(ops))
    )
    reported: dict[str, Document] = {
        row.id: {"after": row.step, **(row.progress or {})} for row in rows
    }
    return {  # without nulls, which the official clients read as values
        op: {name: value for name, value in progress.items() if value is not None}
        for op, progress in reported.items()
    }
