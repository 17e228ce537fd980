"""Which moment of an archive the plan drills."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from fixtures.in_process_archives import ArchivedLog, archived_log
from fixtures.in_process_installation import InProcessInstallation
from holdfast.catalog import drills
from holdfast.catalog.schema import ArchivePiece, Drill
from holdfast.domain.proof.drill import Cause
from holdfast.usecases.protection import drills as verbs

pytestmark = pytest.mark.sqlite_first


@pytest.fixture
def log(installation: InProcessInstallation, new_addon: Callable[[], int]) -> ArchivedLog:
    grown = archived_log(installation, new_addon)
    grown.live(4)
    return grown


def drill_by_plan(log: ArchivedLog, times: int) -> list[Drill]:
    """The drills that the plan orders one after the other."""
    installation = log.installation
    for _ in range(times):
        with installation.catalog.write() as session:
            (candidate,) = drills.candidates(session)
            due = [(candidate, Cause.PLAN)]
            assert verbs.order(session, installation.toolbox.queue, due, log.now) == 1
            session.execute(update(Drill).values(completed=log.now))
    with installation.catalog.read() as session:
        rows = list(session.scalars(select(Drill).order_by(Drill.pk)))
        session.expunge_all()
    return rows


def test_now_and_then_it_is_any_of_the_window(log: ArchivedLog) -> None:
    rows = drill_by_plan(log, 12)
    (window,) = log.windows()
    instants = [row.instant for row in rows]
    chosen = [instant for instant in instants if instant is not None]
    assert [number for number, instant in enumerate(instants) if instant is not None] == [
        2,
        5,
        8,
        11,
    ]
    assert all(window.begin <= instant <= window.end for instant in chosen)
    assert len(set(chosen)) == 4


def test_now_and_then_it_is_any_of_the_backups(log: ArchivedLog) -> None:
    rows = drill_by_plan(log, 60)
    newest = max(row.backup_pk for row in rows)
    older = [row for row in rows if row.instant is None and row.backup_pk != newest]
    assert {number % 5 for number, row in enumerate(rows) if row in older} == {4}
    assert len({row.backup_pk for row in older}) > 1


def test_it_is_never_in_a_gap(log: ArchivedLog) -> None:
    with log.installation.catalog.write() as session:
        missing = log.pieces()[3]
        session.execute(update(ArchivePiece).where(ArchivePiece.pk == missing.pk).values(lost=1))
    windows = log.windows()
    assert len(windows) > 1
    for row in drill_by_plan(log, 36):
        instant = row.instant
        assert instant is None or any(w.begin <= instant <= w.end for w in windows)
