"""Deletion rows, which stay after the store confirmed them.

A deletion waits until `due`, begins when no reason to keep the copy is left, and is done when the
store confirmed that no object is left. One that is called off is done as well, with the reason.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, update

from holdfast.catalog import destinations
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.database.touched import touch_copy
from holdfast.catalog.schema import Addon, Copy, Deletion, Project, RetentionHold
from holdfast.domain.access import Caller
from holdfast.domain.units import MINUTE_MS

_LONGEST_PAUSE_MS = 60 * MINUTE_MS


@dataclass(frozen=True)
class Removal:
    """The objects to delete, and why. `begun`: it is final, nothing may call it off."""

    copy_pk: int
    destination_pk: int | None
    prefix: str
    reason: str
    due: int
    begun: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result at the store: its address, and a note beside the fact that all is gone."""

    address: str | None = None
    note: str | None = None


def mark(session: WriteSession, removal: Removal, now: int) -> None:
    """Adds a deletion: the objects are removed at `due`, unless it is called off before."""
    session.execute(update(Copy).where(Copy.pk == removal.copy_pk).values(marked=now))
    session.add(
        Deletion(
            copy_pk=removal.copy_pk,
            destination_pk=removal.destination_pk,
            prefix=removal.prefix,
            reason=removal.reason,
            created=now,
            due=removal.due,
            begun=now if removal.begun else None,
            tries=0,
            place=destinations.address_at(session, removal.destination_pk),
        )
    )
    session.flush()


def get(session: ReadSession, pk: int) -> Deletion | None:
    fresh = select(Deletion).where(Deletion.pk == pk).execution_options(populate_existing=True)
    return session.scalar(fresh)


def open_of(session: ReadSession, copy_pks: Collection[int]) -> dict[int, Deletion]:
    """The open deletion of each copy that has one."""
    waiting = select(Deletion).where(Deletion.copy_pk.in_(copy_pks), Deletion.done.is_(None))
    return {
        deletion.copy_pk: deletion
        for deletion in session.scalars(waiting)
        if deletion.copy_pk is not None
    }


def call_off(session: WriteSession, deletion: Deletion, reason: str, now: int) -> None:
    """Calls a deletion off; allowed only before it has begun."""
    deletion.called_off = reason
    deletion.done = now
    session.execute(update(Copy).where(Copy.pk == deletion.copy_pk).values(marked=None))
    session.flush()


def begin(session: WriteSession, deletion: Deletion, now: int) -> None:
    deletion.begun = now
    session.flush()


def destinations_due(session: ReadSession, now: int, *, aged: bool = True) -> list[int | None]:
    """Destinations with due deletions; None is the platform store. Not `aged`: only those that were
    requested or have begun, not those of retention."""
    due = select(Deletion.destination_pk).where(*_due(now, aged=aged))
    return list(session.scalars(due.distinct()))


def next_due(
    session: ReadSession, destination_pk: int | None, now: int, *, aged: bool = True
) -> int | None:
    """The least tried due deletion at the destination, so that one which fails does not block."""
    waiting = select(Deletion.pk).where(
        Deletion.destination_pk.is_not_distinct_from(destination_pk)
    )
    order = (Deletion.tries, Deletion.pk)
    return session.scalar(waiting.where(*_due(now, aged=aged)).order_by(*order).limit(1))


def is_due(deletion: Deletion, now: int) -> bool:
    """Whether it is due. Without grace it is due at once, whatever clock set its times."""
    return deletion.due <= max(now, deletion.created)


def _due(now: int, *, aged: bool) -> Sequence[Any]:
    at_once = or_(Deletion.due <= Deletion.created, Deletion.begun.is_not(None))
    due = or_(Deletion.due <= now, at_once) if aged else at_once
    tried = or_(Deletion.next_try.is_(None), Deletion.next_try <= now)
    ahead = Deletion.next_try > now + 2 * _LONGEST_PAUSE_MS  # a wrong clock set it
    return (Deletion.done.is_(None), due, or_(tried, ahead))


def failed(session: WriteSession, pk: int, problem: str, now: int) -> None:
    """Records a failure; it is retried after a pause that grows from a minute to an hour."""
    deletion = get(session, pk)
    if deletion is None or deletion.done is not None:
        return
    pause = min(_LONGEST_PAUSE_MS, MINUTE_MS << min(deletion.tries, 10))
    deletion.tries += 1
    deletion.last_error = problem
    deletion.next_try = now + pause


WAITS = "waits: "
"""Prefix of `last_error` of a deletion that waits for something, without a failure."""


def wait(session: WriteSession, pk: int, why: str, until: int) -> None:
    """Lets a deletion wait until then, or until it is hastened, because of something else."""
    deletion = get(session, pk)
    if deletion is not None and deletion.done is None:
        deletion.last_error = f"{WAITS}{why}"
        deletion.next_try = until


def hasten(session: WriteSession, addon_pk: int) -> None:
    """Retries an addon's waiting deletions now: their reason to wait may be gone."""
    mine = select(Copy.pk).where(Copy.addon_pk == addon_pk, Copy.gone.is_(None))
    waiting = update(Deletion).where(
        Deletion.copy_pk.in_(mine), Deletion.done.is_(None), Deletion.last_error.startswith(WAITS)
    )
    session.execute(
        waiting.values(next_try=None, last_error=None).execution_options(synchronize_session=False)
    )


def follow(session: WriteSession, destination_pk: int, address: str) -> None:
    """Moves open deletions to the destination's new address."""
    waiting = update(Deletion).where(
        Deletion.destination_pk == destination_pk, Deletion.done.is_(None)
    )
    session.execute(waiting.values(place=address).execution_options(synchronize_session=False))


def is_elsewhere(deletion: Deletion, address: str | None) -> bool:
    """Whether it was marked for objects in another store than this one."""
    return None not in (deletion.place, address) and deletion.place != address


def finish(session: WriteSession, pk: int, now: int, outcome: Outcome) -> bool:
    """Ends a deletion that the store confirmed. False: it was done before, or another store
    confirmed it than the one that has the objects."""
    deletion = get(session, pk)
    if deletion is None or deletion.done is not None or is_elsewhere(deletion, outcome.address):
        return False
    deletion.done, deletion.outcome = now, outcome.note
    deletion.tries += 1
    deletion.last_error = deletion.next_try = None
    session.execute(update(Copy).where(Copy.pk == deletion.copy_pk).values(gone=now, review=None))
    if deletion.copy_pk is not None:
        touch_copy(session, deletion.copy_pk)
    return True


def pending_at(session: ReadSession, destination_pk: int) -> int:
    """The number of open deletions at this destination."""
    waiting = select(Deletion.pk).where(
        Deletion.destination_pk == destination_pk, Deletion.done.is_(None)
    )
    return len(list(session.scalars(waiting)))


def listed(session: ReadSession, caller: Caller, page: Page, *, open_only: bool) -> Slice[Deletion]:
    """Deletions in projects that the caller sees, the newest first."""
    rows = select(Deletion)
    if open_only:
        rows = rows.where(Deletion.done.is_(None))
    if caller.projects is not None:
        rows = rows.where(Deletion.copy_pk.in_(copies_seen(caller)))
    return take(session, rows, Deletion.pk, page, f"deletions {open_only}")


def copies_seen(caller: Caller) -> Any:
    """The copies of projects that a restricted caller sees."""
    return (
        select(Copy.pk)
        .join(Addon, Addon.pk == Copy.addon_pk)
        .join(Project, Project.pk == Addon.project_pk)
        .where(Project.id.in_(caller.projects or ()))
    )


_INSTALLATION = select(RetentionHold).where(RetentionHold.scope == "installation")


def hold(session: ReadSession) -> RetentionHold:
    """The row that says whether retention is held."""
    return session.scalars(_INSTALLATION.execution_options(populate_existing=True)).one()


def is_held(session: WriteSession, now: int) -> bool:
    """Whether retention may begin no removal. The answer stays right until this transaction ends:
    a hold that is placed meanwhile waits for it."""
    locked = _INSTALLATION.with_for_update(read=True).execution_options(populate_existing=True)
    return is_holding(session.scalars(locked).one(), now)


def is_holding(row: RetentionHold, now: int) -> bool:
    return row.placed is not None or (row.resumes is not None and now < row.resumes)


def place_hold(session: WriteSession, by: str, reason: str, now: int) -> None:
    """Holds retention; a second hold keeps the instant of the first."""
    row = session.scalars(_INSTALLATION.with_for_update()).one()
    row.placed = row.placed or now
    row.placed_by, row.reason, row.resumes = by, reason, None
    session.flush()


def lift_hold(session: WriteSession, resumes: int) -> None:
    """Lets retention go on, from the instant `resumes`."""
    row = session.scalars(_INSTALLATION.with_for_update()).one()
    row.resumes = resumes if row.placed is not None else row.resumes
    row.placed = row.placed_by = row.reason = None
    session.flush()


def begun_count(session: ReadSession) -> int:
    """How many removals have begun, so that nothing stops them, and are not done."""
    begun = select(func.count()).where(Deletion.done.is_(None), Deletion.begun.is_not(None))
    return session.scalars(begun).one()
