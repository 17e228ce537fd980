"""Orders work on snapshots: further copies, repairs, pruning."""

from holdfast.catalog import addons, projects
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Copy
from holdfast.catalog.storage import copies, repositories, snapshot_work
from holdfast.catalog.work import operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.queue import Queue
from holdfast.domain.operation import Kind, Status


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
        if not snapshot_work.is_under_way(session, copy.addon_pk, Kind.REPAIR):
            order_repair(session, queue, copy, now)
            ordered += 1
    return ordered


def order_repair(session: WriteSession, queue: Queue, copy: Copy, now: int) -> None:
    """Makes it again. It stays lost, and its status what it was, until that has succeeded."""
    _order(session, queue, Kind.REPAIR, copy.addon_pk, {"copy": copy.pk}, now)


def order_pruning(session: WriteSession, queue: Queue, now: int) -> int:
    """For every repository whose time has come and that is not being tidied; how many."""
    ordered = 0
    for row in repositories.to_tidy(session, now):
        if not snapshot_work.is_under_way(session, row.addon_pk, Kind.TIDY):
            _order(session, queue, Kind.TIDY, row.addon_pk, {"repository": row.pk}, now)
            ordered += 1
    return ordered


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
