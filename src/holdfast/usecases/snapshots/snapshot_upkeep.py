"""Orders work on stored backups: replication, repairs, pruning."""

from holdfast.catalog import addons, projects
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Copy
from holdfast.catalog.storage import copies, repositories, snapshot_work
from holdfast.catalog.work import operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.job_arguments import Arguments, CopyArguments, PruneArguments
from holdfast.contracts.queue import Queue
from holdfast.domain.operation import Kind, Status


def order_copy(session: WriteSession, queue: Queue, copy: Copy, now: int) -> None:
    """Orders the replication of a snapshot to the additional destination of the copy."""
    copy.status, copy.reason, copy.next_try = Status.SCHEDULED, None, None
    arguments = CopyArguments(copy=copy.pk, project=_project_of(session, copy.addon_pk))
    copy.operation = _order(session, queue, Kind.REPLICATE, copy.addon_pk, arguments, now)


def retry_copies(session: WriteSession, queue: Queue, now: int) -> int:
    """Orders failed copies again whose pause is over; returns their number."""
    waiting = copies.to_retry(session, now)
    for copy in waiting:
        order_copy(session, queue, copy, now)
    return len(waiting)


def order_repairs(session: WriteSession, queue: Queue, now: int) -> int:
    """Orders repairs of lost copies that have a whole one; returns their number."""
    ordered = 0
    for copy in copies.to_repair(session, now):
        if not snapshot_work.is_under_way(session, copy.addon_pk, Kind.REPAIR):
            order_repair(session, queue, copy, now)
            ordered += 1
    return ordered


def order_repair(session: WriteSession, queue: Queue, copy: Copy, now: int) -> None:
    """Orders a repair. The copy stays lost, with its status, until the repair has succeeded."""
    arguments = CopyArguments(copy=copy.pk, project=_project_of(session, copy.addon_pk))
    _order(session, queue, Kind.REPAIR, copy.addon_pk, arguments, now)


def order_pruning(session: WriteSession, queue: Queue, now: int) -> int:
    """Orders due prunes of repositories that are not being pruned; returns their number."""
    ordered = 0
    for row in repositories.to_prune(session, now):
        if not snapshot_work.is_under_way(session, row.addon_pk, Kind.PRUNE):
            project = _project_of(session, row.addon_pk)
            arguments = PruneArguments(repository=row.pk, project=project)
            _order(session, queue, Kind.PRUNE, row.addon_pk, arguments, now)
            ordered += 1
    return ordered


def _project_of(session: WriteSession, addon_pk: int) -> str:
    return projects.get(session, addons.get(session, addon_pk).project_pk).id


def _order(
    session: WriteSession,
    queue: Queue,
    kind: Kind,
    addon_pk: int,
    arguments: Arguments,
    now: int,
) -> str:
    lane = addons.lane(addons.get(session, addon_pk))
    order = Order(addon_pk, kind, lane, arguments.document())
    return operations.create(session, queue, order, now).id
