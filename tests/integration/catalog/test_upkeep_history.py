"""Rows of what has been gone for long go together; whatever is still needed stays."""

from collections.abc import Callable

from sqlalchemy import func, select, update

from fixtures.keeping import POLICY, Keeper
from fixtures.timetables import DAY, HOUR
from holdfast.bootstrap import PLANS
from holdfast.catalog.schema import (
    Backup,
    Copy,
    Deletion,
    Finding,
    Line,
    Occurrence,
    Operation,
    Restore,
    Schedule,
)
from holdfast.catalog.work import chores
from holdfast.daemons.janitor import Janitor
from holdfast.jobs.core.leftovers import remover

TABLES = (Backup, Copy, Deletion, Finding, Line, Operation, Restore)


def clean(keeper: Keeper, **later: int) -> None:
    keeper.clock.at += sum(n * {"days": DAY, "hours": HOUR}[unit] for unit, n in later.items())
    Janitor(keeper.toolbox, remover(keeper.toolbox, PLANS), POLICY).round()


def counts(keeper: Keeper) -> list[int]:
    with keeper.catalog.read() as session:
        return [session.scalars(select(func.count()).select_from(t)).one() for t in TABLES]


def tell(keeper: Keeper, backup_pk: int, addon_pk: int) -> int:
    """A log, a finished restore, a settled finding and the occurrence behind a backup."""
    work = keeper.row(backup_pk).operation
    restore = keeper.restore(backup_pk, addon_pk)
    keeper.end_restore(restore)
    with keeper.catalog.write() as session:
        session.add(Line(operation=work, at=1, text="said"))
        session.add(Finding(kind="lost", prefix="p", objects=0, bytes=0, reason="r", created=1,
                            seen=1, copy_pk=keeper.copies(backup_pk)[0].pk))  # fmt: skip
        schedule = Schedule(
            id=f"s{backup_pk}", addon_pk=addon_pk, type="dump", additional=[],
            interval=f"i{backup_pk}", minute=[0], hour=[], day=[], retention=1, next_due=1,
            created=1, updated=1,
        )  # fmt: skip
        session.add(schedule)
        session.flush()
        occurrence = Occurrence(schedule_pk=schedule.pk, instant=1, since=1, count=1,
                                outcome="fired", reason="on time", backup_pk=backup_pk,
                                decided=1)  # fmt: skip
        session.add(occurrence)
        session.flush()
        return occurrence.pk


def test_all_that_was_said_of_a_backup_goes_with_it(keeper: Keeper, kept_addon: int) -> None:
    old, new = keeper.backup(kept_addon), keeper.backup(kept_addon)
    occurrence = tell(keeper, old, kept_addon)
    tell(keeper, new, kept_addon)
    for _ in range(2):
        keeper.round(days=1)
    assert keeper.present(kept_addon) == [new]
    clean(keeper, days=399)
    assert counts(keeper) == [2, 2, 1, 2, 2, 2, 2]

    clean(keeper, days=2)

    assert counts(keeper) == [1, 1, 0, 1, 1, 1, 1]
    (kept,) = keeper.rows(select(Occurrence).where(Occurrence.pk == occurrence))
    assert (kept.backup_pk, kept.reason) == (None, "on time")
    assert keeper.row(new).deleted is None


def test_what_is_partly_there_or_being_restored_stays(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    both = keeper.backup(kept_addon, places=(None, there))
    used = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    for _ in range(2):
        keeper.round(days=1)
    with keeper.catalog.write() as session:
        gone = {"gone": keeper.clock.at}
        session.execute(update(Copy).where(Copy.backup_pk == used).values(**gone))
        session.execute(
            update(Backup).where(Backup.pk.in_((both, used))).values(deleted=keeper.clock.at)
        )
    keeper.restore(used, kept_addon)
    clean(keeper, days=900)
    assert counts(keeper)[0] == 3


def test_a_great_many_go_a_few_at_a_time(keeper: Keeper, new_addon: Callable[[], int]) -> None:
    addon = new_addon()
    pks = [keeper.backup(addon) for _ in range(450)]
    with keeper.catalog.write() as session:
        past = {"gone": keeper.clock.at}
        session.execute(update(Copy).where(Copy.backup_pk != pks[-1]).values(**past))
        session.execute(update(Backup).where(Backup.pk != pks[-1]).values(deleted=keeper.clock.at))
    clean(keeper, days=401)
    assert counts(keeper)[0] == 1


def test_it_is_done_once_a_day(keeper: Keeper) -> None:
    clean(keeper)
    with keeper.catalog.read() as session:
        chore = chores.get(session, "history")
        assert chore is not None
        assert (chore.due, chore.ended) == (keeper.clock.at + DAY, keeper.clock.at)


def test_looks_that_a_wrong_clock_put_off_are_made_in_time(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=3000)
    clean(keeper)
    keeper.clock.at -= 2990 * DAY
    clean(keeper)
    keeper.round(hours=1)
    assert keeper.deletions(old)[0].due == keeper.clock.at + DAY
