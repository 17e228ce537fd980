"""Bytes of packs are read now and then, and a copy that is damaged is made again from another."""

import pytest
from sqlalchemy import select

from fixtures.keeping import Keeper
from fixtures.kept_repairs import a_job, repair
from fixtures.kept_snapshots import OFFSITE, audit, flip, lost, pack_of_blocks, packs, take, write
from holdfast.catalog.schema import Operation, Repository
from holdfast.catalog.storage import snapshot_work
from holdfast.catalog.work import chores
from holdfast.domain.errors import Conflict, Failure
from holdfast.domain.operation import Status
from holdfast.jobs.snapshots.index_repair import make_sound
from holdfast.kit import ids
from holdfast.usecases import backups as verbs
from holdfast.usecases.snapshots import snapshot_upkeep


def ask_to_read(keeper: Keeper) -> None:
    with keeper.catalog.write() as session:
        for row in session.scalars(select(Repository)):
            chores.ask(session, chores.reading_of(row.pk), keeper.clock.at)


def test_a_flipped_bit_is_found_within_the_stated_time(keeper: Keeper, kept_addon: int) -> None:
    made = take(keeper, kept_addon, days=60)
    body = flip(keeper, victim := pack_of_blocks(keeper, made))
    audit(keeper)
    assert lost(keeper, made) == [False]
    for _ in range(6):
        audit(keeper, days=1, read_within=6)
    assert lost(keeper, made) == [True]
    (finding,) = [each for each in keeper.findings() if each.settled is None]
    assert (finding.kind, "is not what was written" in finding.reason) == ("lost", True)
    audit(keeper, days=1)  # it is read again, although nothing else is
    assert lost(keeper, made) == [True]
    keeper.put(None, victim, body)
    audit(keeper, days=1)
    assert lost(keeper, made) == [False]
    assert not [each for each in keeper.findings() if each.settled is None]


def test_everything_is_read_when_somebody_asks(keeper: Keeper, kept_addon: int) -> None:
    first = take(keeper, kept_addon, days=60)
    before = set(packs(keeper))
    second = take(keeper, kept_addon, days=60)
    flip(keeper, next(key for key in packs(keeper) if key not in before))
    ask_to_read(keeper)
    audit(keeper)
    assert (lost(keeper, first), lost(keeper, second)) == ([False], [True])


def test_a_spoiled_pack_that_nobody_needs_harms_nobody(keeper: Keeper, kept_addon: int) -> None:
    made = take(keeper, kept_addon, days=60)
    copy = keeper.copies(made)[0]
    before = set(packs(keeper))
    keeper.platform.delete(write(keeper, copy, ids.uid()))
    for key in set(packs(keeper)) - before:
        flip(keeper, key)
    ask_to_read(keeper)
    audit(keeper)
    assert lost(keeper, made) == [False]


@pytest.mark.parametrize("harm", ["flipped", "missing", "cut", "index", "everything"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_lost_copy_is_made_again_from_the_other(
    keeper: Keeper, kept_addon: int, harm: str, which: int
) -> None:
    """The platform's from the additional one, and the other way round."""
    place = keeper.destination(OFFSITE)
    older = take(keeper, kept_addon, days=60, places=(None, place))
    made = take(keeper, kept_addon, days=60, places=(None, place))
    at = (None, place)[which]
    store = keeper.stores[at]
    for key in packs(keeper, at):
        if harm == "flipped":
            flip(keeper, key, at)
        elif harm == "missing":
            store.delete(key)
        elif harm == "cut":
            body = b"".join(store.get(key))
            keeper.put(at, key, body[:-1])
    for key in keeper.stored(at):
        if harm == "everything" or (harm == "index" and "/index/" in key):
            store.delete(key)
    ask_to_read(keeper)
    audit(keeper)
    expected = [which == 0, which == 1]
    assert lost(keeper, made) == expected
    for backup in (made, older):
        copy = keeper.copies(backup)[which]
        if copy.lost is not None:
            repair(keeper, copy)
    assert (lost(keeper, made), lost(keeper, older)) == ([False, False], [False, False])
    ask_to_read(keeper)
    audit(keeper, days=1)
    assert (lost(keeper, made), lost(keeper, older)) == ([False, False], [False, False])
    assert not [each for each in keeper.findings() if each.kind == "lost" and not each.settled]


def test_repairs_are_ordered_once_and_only_where_another_copy_is_whole(
    keeper: Keeper, kept_addon: int
) -> None:
    place = keeper.destination(OFFSITE)
    made = take(keeper, kept_addon, days=60, places=(None, place))
    alone = take(keeper, kept_addon, days=60)
    for key in packs(keeper):
        keeper.platform.delete(key)
    audit(keeper)
    assert (lost(keeper, made), lost(keeper, alone)) == ([True, False], [True])
    queue = keeper.toolbox.queue
    with keeper.catalog.write() as session:
        assert snapshot_work.is_any_due(session, keeper.clock.at)
        assert snapshot_upkeep.order_repairs(session, queue, keeper.clock.at) == 1
        assert snapshot_upkeep.order_repairs(session, queue, keeper.clock.at) == 0
    (operation,) = keeper.rows(select(Operation).where(Operation.kind == "repair"))
    assert operation.arguments["copy"] == keeper.copies(made)[0].pk
    assert [copy.status for copy in keeper.copies(made)] == [Status.COMPLETED] * 2


def test_somebody_who_asks_for_a_repair_hears_why_there_is_none(
    keeper: Keeper, kept_addon: int
) -> None:
    place = keeper.destination(OFFSITE)
    made = take(keeper, kept_addon, days=60, places=(None, place))

    def ask() -> None:
        with keeper.catalog.write() as session:
            context = keeper.context(session)
            verbs.repair(context, session.merge(keeper.row(made)))

    with pytest.raises(Conflict, match="no copy of this backup is lost"):
        ask()
    for key in packs(keeper):
        keeper.platform.delete(key)
    audit(keeper)
    ask()
    assert len(keeper.rows(select(Operation).where(Operation.kind == "repair"))) == 1
    for key in packs(keeper, place):
        keeper.stores[place].delete(key)
    audit(keeper, days=1)
    with pytest.raises(Conflict, match="no copy of this backup is whole"):
        ask()


def test_a_repair_in_vain_leaves_the_copy_lost_and_is_tried_later(
    keeper: Keeper, kept_addon: int
) -> None:
    place = keeper.destination(OFFSITE)
    made = take(keeper, kept_addon, days=60, places=(None, place))
    for key in packs(keeper):
        keeper.platform.delete(key)
    audit(keeper)
    for key in packs(keeper, place):
        keeper.stores[place].delete(key)  # nobody has noticed yet
    with pytest.raises(Failure, match="the copy at offsite cannot be used"):
        repair(keeper, keeper.copies(made)[0])
    copy = keeper.copies(made)[0]
    assert (copy.status, lost(keeper, made), copy.tries) == ("completed", [True, False], 1)
    with keeper.catalog.write() as session:
        assert snapshot_upkeep.order_repairs(session, keeper.toolbox.queue, keeper.clock.at) == 0
        later = keeper.clock.at + 3_600_000
        assert snapshot_upkeep.order_repairs(session, keeper.toolbox.queue, later) == 1


def test_what_is_written_after_a_loss_relies_on_nothing_that_is_gone(
    keeper: Keeper, kept_addon: int
) -> None:
    """And fills the gap for the snapshot before it, which needs the same blocks."""
    made = take(keeper, kept_addon, days=60)
    copy, uid = keeper.copies(made)[0], keeper.row(made).uid
    for key in packs(keeper):
        keeper.platform.delete(key)
    audit(keeper)
    assert lost(keeper, made) == [True]
    job = a_job(keeper, kept_addon)
    make_sound(job, job.repository(None), None)
    write(keeper, copy, uid)
    audit(keeper, days=1)
    assert lost(keeper, made) == [False]
