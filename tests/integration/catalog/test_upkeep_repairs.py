"""Bytes of packs are read now and then, and a copy that is damaged is made again from another."""

import pytest
from sqlalchemy import select

from fixtures.in_process_installation import InProcessInstallation
from fixtures.in_process_repairs import a_job, repair
from fixtures.in_process_snapshots import (
    OFFSITE,
    audit,
    flip,
    lost,
    pack_of_blocks,
    packs,
    take,
    write,
)
from holdfast.catalog.schema import Operation, Repository
from holdfast.catalog.storage import snapshot_work
from holdfast.catalog.work import chores
from holdfast.domain.errors import Conflict, Failure
from holdfast.domain.operation import Status
from holdfast.jobs.snapshots.index_repair import make_sound
from holdfast.kit import ids
from holdfast.usecases import backups as verbs
from holdfast.usecases.snapshots import snapshot_upkeep

pytestmark = pytest.mark.sqlite_first


def ask_to_read(installation: InProcessInstallation) -> None:
    with installation.catalog.write() as session:
        for row in session.scalars(select(Repository)):
            chores.ask(session, chores.reading_of(row.pk), installation.clock.at)


def test_a_flipped_bit_is_found_within_the_stated_time(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk, days=60)
    body = flip(installation, victim := pack_of_blocks(installation, made))
    audit(installation)
    assert lost(installation, made) == [False]
    for _ in range(6):
        audit(installation, days=1, read_within=6)
    assert lost(installation, made) == [True]
    (finding,) = [each for each in installation.findings() if each.settled is None]
    assert (finding.kind, "is not what was written" in finding.reason) == ("lost", True)
    audit(installation, days=1)  # it is read again, although nothing else is
    assert lost(installation, made) == [True]
    installation.put(None, victim, body)
    audit(installation, days=1)
    assert lost(installation, made) == [False]
    assert not [each for each in installation.findings() if each.settled is None]


def test_everything_is_read_when_somebody_asks(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    first = take(installation, addon_pk, days=60)
    before = set(packs(installation))
    second = take(installation, addon_pk, days=60)
    flip(installation, next(key for key in packs(installation) if key not in before))
    ask_to_read(installation)
    audit(installation)
    assert (lost(installation, first), lost(installation, second)) == ([False], [True])


def test_a_spoiled_pack_that_nobody_needs_harms_nobody(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk, days=60)
    copy = installation.copies(made)[0]
    before = set(packs(installation))
    installation.platform.delete(write(installation, copy, ids.uid()))
    for key in set(packs(installation)) - before:
        flip(installation, key)
    ask_to_read(installation)
    audit(installation)
    assert lost(installation, made) == [False]


@pytest.mark.parametrize("harm", ["flipped", "missing", "cut", "index", "everything"])
@pytest.mark.parametrize("which", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_lost_copy_is_made_again_from_the_other(
    installation: InProcessInstallation, addon_pk: int, harm: str, which: int
) -> None:
    """The platform's from the additional one, and the other way round."""
    place = installation.destination(OFFSITE)
    older = take(installation, addon_pk, days=60, places=(None, place))
    made = take(installation, addon_pk, days=60, places=(None, place))
    at = (None, place)[which]
    store = installation.stores[at]
    for key in packs(installation, at):
        if harm == "flipped":
            flip(installation, key, at)
        elif harm == "missing":
            store.delete(key)
        elif harm == "cut":
            body = b"".join(store.get(key))
            installation.put(at, key, body[:-1])
    for key in installation.stored(at):
        if harm == "everything" or (harm == "index" and "/index/" in key):
            store.delete(key)
    ask_to_read(installation)
    audit(installation)
    expected = [which == 0, which == 1]
    assert lost(installation, made) == expected
    for backup in (made, older):
        copy = installation.copies(backup)[which]
        if copy.lost is not None:
            repair(installation, copy)
    assert (lost(installation, made), lost(installation, older)) == ([False, False], [False, False])
    ask_to_read(installation)
    audit(installation, days=1)
    assert (lost(installation, made), lost(installation, older)) == ([False, False], [False, False])
    assert not [
        each for each in installation.findings() if each.kind == "lost" and not each.settled
    ]


def test_repairs_are_ordered_once_and_only_where_another_copy_is_whole(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    place = installation.destination(OFFSITE)
    made = take(installation, addon_pk, days=60, places=(None, place))
    alone = take(installation, addon_pk, days=60)
    for key in packs(installation):
        installation.platform.delete(key)
    audit(installation)
    assert (lost(installation, made), lost(installation, alone)) == ([True, False], [True])
    queue = installation.toolbox.queue
    with installation.catalog.write() as session:
        assert snapshot_work.is_any_due(session, installation.clock.at)
        assert snapshot_upkeep.order_repairs(session, queue, installation.clock.at) == 1
        assert snapshot_upkeep.order_repairs(session, queue, installation.clock.at) == 0
    (operation,) = installation.rows(select(Operation).where(Operation.kind == "repair"))
    assert operation.arguments["copy"] == installation.copies(made)[0].pk
    assert [copy.status for copy in installation.copies(made)] == [Status.COMPLETED] * 2


def test_somebody_who_asks_for_a_repair_hears_why_there_is_none(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    place = installation.destination(OFFSITE)
    made = take(installation, addon_pk, days=60, places=(None, place))

    def ask() -> None:
        with installation.catalog.write() as session:
            context = installation.context(session)
            verbs.repair(context, session.merge(installation.row(made)))

    with pytest.raises(Conflict, match="no copy of this backup is lost"):
        ask()
    for key in packs(installation):
        installation.platform.delete(key)
    audit(installation)
    ask()
    assert len(installation.rows(select(Operation).where(Operation.kind == "repair"))) == 1
    for key in packs(installation, place):
        installation.stores[place].delete(key)
    audit(installation, days=1)
    with pytest.raises(Conflict, match="no copy of this backup is whole"):
        ask()


def test_a_repair_in_vain_leaves_the_copy_lost_and_is_tried_later(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    place = installation.destination(OFFSITE)
    made = take(installation, addon_pk, days=60, places=(None, place))
    for key in packs(installation):
        installation.platform.delete(key)
    audit(installation)
    for key in packs(installation, place):
        installation.stores[place].delete(key)  # nobody has noticed yet
    with pytest.raises(Failure, match="the copy at offsite cannot be used"):
        repair(installation, installation.copies(made)[0])
    copy = installation.copies(made)[0]
    assert (copy.status, lost(installation, made), copy.tries) == ("completed", [True, False], 1)
    with installation.catalog.write() as session:
        assert (
            snapshot_upkeep.order_repairs(
                session, installation.toolbox.queue, installation.clock.at
            )
            == 0
        )
        later = installation.clock.at + 3_600_000
        assert snapshot_upkeep.order_repairs(session, installation.toolbox.queue, later) == 1


def test_what_is_written_after_a_loss_relies_on_nothing_that_is_gone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    """And fills the gap for the snapshot before it, which needs the same blocks."""
    made = take(installation, addon_pk, days=60)
    copy, uid = installation.copies(made)[0], installation.row(made).uid
    for key in packs(installation):
        installation.platform.delete(key)
    audit(installation)
    assert lost(installation, made) == [True]
    job = a_job(installation, addon_pk)
    make_sound(job, job.repository(None), None)
    write(installation, copy, uid)
    audit(installation, days=1)
    assert lost(installation, made) == [False]
