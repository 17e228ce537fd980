"""What processes see: a row for each thing and observer, by the database's clock."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import ObservationRow
from holdfast.domain.units import DAY_MS

SCHEDULER = "scheduler"
"""Observed by each scheduler of itself: its beats show that it lives."""
_WORN_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Observation:
    name: str
    observer: str
    problem: str | None
    since: int
    seen: int
    beats: int


def note(
    session: WriteSession, observer: str, problems: Mapping[str, str | None], now: int
) -> None:
    """Notes what an observer sees of several things; None: all is well with it."""
    for name, problem in problems.items():
        row = session.get(ObservationRow, (name, observer))
        if row is not None:
            if (row.problem is None) is not (problem is None):
                row.since = now
            row.problem, row.seen = problem, now
            row.beats += 1
            continue
        row = ObservationRow(
            name=name, observer=observer, problem=problem, since=now, seen=now, beats=1
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:  # another thread of this observer was faster
            again = update(ObservationRow).where(
                ObservationRow.name == name, ObservationRow.observer == observer
            )
            session.execute(again.values(problem=problem, seen=now))


def current(session: ReadSession) -> list[Observation]:
    columns = (
        ObservationRow.name,
        ObservationRow.observer,
        ObservationRow.problem,
        ObservationRow.since,
        ObservationRow.seen,
        ObservationRow.beats,
    )
    return [Observation(*row) for row in session.execute(select(*columns))]


def forget(session: WriteSession, observer: str, names: Collection[str]) -> None:
    """Forgets what a process saw that ends now: it is not silent, it has left."""
    session.execute(
        delete(ObservationRow).where(
            ObservationRow.observer == observer, ObservationRow.name.in_(names)
        )
    )


def forget_worn(session: WriteSession, now: int) -> None:
    """Removes what no process has observed for a day: its observer is gone for good."""
    worn = delete(ObservationRow).where(ObservationRow.seen < now - _WORN_MS)
    session.execute(worn.execution_options(synchronize_session=False))
