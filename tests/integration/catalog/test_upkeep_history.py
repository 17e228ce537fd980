"""Rows of what has been gone for long go together; whatever is still needed stays."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, update

from fixtures.in_process_installation import POLICY, InProcessInstallation
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


def clean(installation: InProcessInstallation, **later: int) -> None:
    installation.clock.at += sum(
        n * {"days": DAY, "hours": HOUR}[unit] for unit, n in later.items()
    )
    Janitor(installation.toolbox, remover(installation.toolbox, PLANS), POLICY).round()


def counts(installation: InProcessInstallation) -> list[int]:
    with installation.catalog.read() as session:
        return [session.scalars(select(func.count()).select_from(t)).one() for t in TABLES]


def tell(installation: InProcessInstallation, backup_pk: int, addon_pk: int) -> int:
    """A log, a finished restore, a settled finding and the occurrence behind a backup."""
    work = installation.row(backup_pk).operation
    restore = installation.restore(backup_pk, addon_pk)
    installation.end_restore(restore)
    with installation.catalog.write() as session:
        session.add(Line(operation=work, at=1, text="said"))
        session.add(Finding(kind="lost", prefix="p", objects=0, bytes=0, reason="r", created=1,
                            seen=1, copy_pk=installation.copies(backup_pk)[0].pk))  # fmt: skip
        schedule = Schedule(
            id=f"s{backup_pk}", addon_pk=addon_pk, type="dump", additional=[],
            interval=("hourly", "daily")[backup_pk % 2], minute=[0], hour=[0], day=[],
            retention=1, next_due=1, created=1, updated=1,
        )  # fmt: skip
        session.add(schedule)
        session.flush()
        occurrence = Occurrence(schedule_pk=schedule.pk, instant=1, since=1, count=1,
                                outcome="fired", reason="on time", backup_pk=backup_pk,
                                decided=1)  # fmt: skip
        session.add(occurrence)
        session.flush()
        return occurrence.pk


def test_all_that_was_said_of_a_backup_goes_with_it(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old, new = installation.backup(addon_pk), installation.backup(addon_pk)
    occurrence = tell(installation, old, addon_pk)
    tell(installation, new, addon_pk)
    for _ in range(2):
        installation.round(days=1)
    assert installation.present(addon_pk) == [new]
    clean(installation, days=399)
    assert counts(installation) == [2, 2, 1, 2, 2, 2, 2]

    clean(installation, days=2)

    assert counts(installation) == [1, 1, 0, 1, 1, 1, 1]
    (kept,) = installation.rows(select(Occurrence).where(Occurrence.pk == occurrence))
    assert (kept.backup_pk, kept.reason) == (None, "on time")
    assert installation.row(new).deleted is None


def test_what_is_partly_there_or_being_restored_stays(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    both = installation.backup(addon_pk, places=(None, there))
    used = installation.backup(addon_pk)
    installation.backup(addon_pk)
    for _ in range(2):
        installation.round(days=1)
    with installation.catalog.write() as session:
        gone = {"gone": installation.clock.at}
        session.execute(update(Copy).where(Copy.backup_pk == used).values(**gone))
        session.execute(
            update(Backup).where(Backup.pk.in_((both, used))).values(deleted=installation.clock.at)
        )
    installation.restore(used, addon_pk)
    clean(installation, days=900)
    assert counts(installation)[0] == 3


@pytest.mark.sqlite_first
def test_a_great_many_go_a_few_at_a_time(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    addon = new_addon()
    pks = [installation.backup(addon) for _ in range(450)]
    with installation.catalog.write() as session:
        past = {"gone": installation.clock.at}
        session.execute(update(Copy).where(Copy.backup_pk != pks[-1]).values(**past))
        session.execute(
            update(Backup).where(Backup.pk != pks[-1]).values(deleted=installation.clock.at)
        )
    clean(installation, days=401)
    assert counts(installation)[0] == 1


def test_it_is_done_once_a_day(installation: InProcessInstallation) -> None:
    clean(installation)
    with installation.catalog.read() as session:
        chore = chores.get(session, "history")
        assert chore is not None
        assert (chore.due, chore.ended) == (installation.clock.at + DAY, installation.clock.at)


def test_looks_that_a_wrong_clock_put_off_are_made_in_time(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=3000)
    clean(installation)
    installation.clock.at -= 2990 * DAY
    clean(installation)
    installation.round(hours=1)
    assert installation.deletions(old)[0].due == installation.clock.at + DAY
