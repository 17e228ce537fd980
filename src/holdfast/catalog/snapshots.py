"""Work around snapshots that nobody asked for by hand: further copies, tidying."""

from sqlalchemy import or_, select, update

from holdfast.catalog import addons, copies, operations, projects, repositories
from holdfast.catalog.operations import Order
from holdfast.catalog.schema import Copy, Operation, Repository
from holdfast.catalog.session import ReadSession, WriteSession
from holdfast.contracts.queue import Queue
from holdfast.domain.operation import OVER, Kind, Status

_TIDY_AFTER_MS = 3_600_000
"""So that the snapshots that go on one day make one work."""


def order_copy(session: WriteSession, queue: Queue, copy: Copy, now: int) -> None:
    """Sends the snapshot to the additional destination that the copy is for."""
    copy.status, copy.reason, copy.next_try = Status.SCHEDULED, None, None
    copy.operation = _order(session, queue, Kind.COPY, copy.addon_pk, {"copy": copy.pk}, now)


def retry_copies(session: WriteSession, queue: Queue, now: int) -> int:
    """Those that failed and whose pause is over; how many."""
    waiting = copies.to_retry(session, now)
    for copy in waiting:
        order_copy(session, queue, copy, now)
    return len(waiting)


def order_repairs(session: WriteSession, queue: Queue, now: int) -> int:
    """For copies that were found lost and of which another one is whole; how many."""
    ordered = 0
    for copy in copies.to_repair(session, now):
        if not _is_at_it(session, copy.addon_pk, Kind.REPAIR):
            order_repair(session, queue, copy, now)
            ordered += 1
    return ordered


def order_repair(session: WriteSession, queue: Queue, copy: Copy, now: int) -> None:
    """Makes it again. It stays lost, and its status what it was, until that has succeeded."""
    _order(session, queue, Kind.REPAIR, copy.addon_pk, {"copy": copy.pk}, now)


def tidy_later(session: WriteSession, addon_pk: int, place: int | None, now: int) -> None:
    """Something in this repository may be needed by nobody now."""
    mine = update(Repository).where(
        Repository.addon_pk == addon_pk,
        Repository.destination_pk.is_not_distinct_from(place),
        Repository.tidy_due.is_(None),
    )
    session.execute(mine.values(tidy_due=now + _TIDY_AFTER_MS))


def tidy_now(session: WriteSession, repository_pk: int, now: int) -> None:
    """Something in it has to be put right, unless that is being tried already."""
    mine = update(Repository).where(
        Repository.pk == repository_pk,
        or_(Repository.tidy_due.is_(None), Repository.tidy_due > now + _TIDY_AFTER_MS),
    )
    session.execute(mine.values(tidy_due=now))


def order_tidying(session: WriteSession, queue: Queue, now: int) -> int:
    """For every repository whose time has come and that is not being tidied; how many."""
    ordered = 0
    for row in repositories.to_tidy(session, now):
        if not _is_at_it(session, row.addon_pk, Kind.TIDY):
            _order(session, queue, Kind.TIDY, row.addon_pk, {"repository": row.pk}, now)
            ordered += 1
    return ordered


def is_any_due(session: ReadSession, now: int) -> bool:
    """One question, made once: it is asked every second, and hardly ever answered with yes."""
    return bool(session.scalar(_IS_ANY_DUE, {"now": now}))


_IS_ANY_DUE = select(
    or_(copies.TO_RETRY.exists(), copies.TO_REPAIR.exists(), repositories.TO_TIDY.exists())
)


def _is_at_it(session: ReadSession, addon_pk: int, kind: Kind) -> bool:
    going = select(Operation.pk).where(
        Operation.addon_pk == addon_pk,
        Operation.kind == kind,
        Operation.status.not_in(OVER),
    )
    return session.scalar(going.limit(1)) is not None


def _order(
    session: WriteSession,
    queue: Queue,
    kind: Kind,
    addon_pk: int,
    arguments: dict[str, object],
    now: int,
) -> str:
    addon = addons.get(session, addon_pk)
    order = Order(
        addon_pk,
        kind,
        addons.lane(addon),
        {**arguments, "project": projects.get(session, addon.project_pk).id},
    )
    return operations.create(session, queue, order, now).id
