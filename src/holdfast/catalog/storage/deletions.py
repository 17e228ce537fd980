"""Objects on their way out. A deletion is a row until the store confirmed it, and ever after.

It waits until `due`, begins once nothing speaks against it any more, and is done when the store
said that nothing is left. One that is called off is done, too, and says why it was.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, update

from holdfast.catalog import destinations
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.database.touched import touch_copy
from holdfast.catalog.schema import Addon, Copy, Deletion, Project
from holdfast.domain.access import Caller

_MINUTE_MS = 60_000
_LONGEST_PAUSE_MS = 60 * _MINUTE_MS


@dataclass(frozen=True)
class Doomed:
    """What is to be removed, and why. `begun`: decided for good, nothing may call it off."""

    copy_pk: int
    destination_pk: int | None
    prefix: str
    reason: str
    due: int
    begun: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a store said: which one it was, and what is worth knowing beside that all is gone."""

    place: str | None = None
    note: str | None = None


def mark(session: WriteSession, what: Doomed, now: int) -> None:
    """The objects under the prefix are removed at `due`, unless called off before."""
    session.execute(update(Copy).where(Copy.pk == what.copy_pk).values(marked=now))
    session.add(
        Deletion(
            copy_pk=what.copy_pk,
            destination_pk=what.destination_pk,
            prefix=what.prefix,
            reason=what.reason,
            created=now,
            due=what.due,
            begun=now if what.begun else None,
            tries=0,
            place=destinations.place_at(session, what.destination_pk),
        )
    )
    session.flush()


def get(session: ReadSession, pk: int) -> Deletion | None:
    fresh = select(Deletion).where(Deletion.pk == pk).execution_options(populate_existing=True)
    return session.scalar(fresh)


def open_of(session: ReadSession, copy_pks: Collection[int]) -> dict[int, Deletion]:
    """Copy to what is going to become, or becoming, of it."""
    waiting = select(Deletion).where(Deletion.copy_pk.in_(copy_pks), Deletion.done.is_(None))
    return {each.copy_pk: each for each in session.scalars(waiting) if each.copy_pk is not None}


def call_off(session: WriteSession, deletion: Deletion, reason: str, now: int) -> None:
    """Only before it has begun."""
    deletion.called_off = reason
    deletion.done = now
    session.execute(update(Copy).where(Copy.pk == deletion.copy_pk).values(marked=None))
    session.flush()


def begin(session: WriteSession, deletion: Deletion, now: int) -> None:
    deletion.begun = now
    session.flush()


def places_due(session: ReadSession, now: int, *, aged: bool = True) -> list[int | None]:
    """Destinations where something is to be removed now; None is the platform store. Not `aged`:
    only what was asked for, or has begun."""
    due = select(Deletion.destination_pk).where(*_due(now, aged=aged))
    return list(session.scalars(due.distinct()))


def next_due(session: ReadSession, place: int | None, now: int, *, aged: bool = True) -> int | None:
    """The least tried one at this place: one that fails again and again lets the others pass."""
    waiting = select(Deletion.pk).where(Deletion.destination_pk.is_not_distinct_from(place))
    order = (Deletion.tries, Deletion.pk)
    return session.scalar(waiting.where(*_due(now, aged=aged)).order_by(*order).limit(1))


def is_due(deletion: Deletion, now: int) -> bool:
    """What has no grace is due at once, by whatever clock it was asked for."""
    return deletion.due <= max(now, deletion.created)


def _due(now: int, *, aged: bool) -> Sequence[Any]:
    at_once = or_(Deletion.due <= Deletion.created, Deletion.begun.is_not(None))
    due = or_(Deletion.due <= now, at_once) if aged else at_once
    tried = or_(Deletion.next_try.is_(None), Deletion.next_try <= now)
    ahead = Deletion.next_try > now + 2 * _LONGEST_PAUSE_MS  # said a clock that was wrong
    return (Deletion.done.is_(None), due, or_(tried, ahead))


def failed(session: WriteSession, pk: int, problem: str, now: int) -> None:
    """It is tried again after a pause that grows from a minute to an hour."""
    deletion = get(session, pk)
    if deletion is None or deletion.done is not None:
        return
    pause = min(_LONGEST_PAUSE_MS, _MINUTE_MS << min(deletion.tries, 10))
    deletion.tries += 1
    deletion.last_error = problem
    deletion.next_try = now + pause


WAITS = "waits: "
"""Begins what is said of a deletion that only waits for something else."""


def wait(session: WriteSession, pk: int, why: str, until: int) -> None:
    """Nothing failed: something has to be done first. It is tried again then, or when hastened."""
    deletion = get(session, pk)
    if deletion is not None and deletion.done is None:
        deletion.last_error = f"{WAITS}{why}"
        deletion.next_try = until


def hasten(session: WriteSession, addon_pk: int) -> None:
    """What an addon's deletions waited for may have been done."""
    mine = select(Copy.pk).where(Copy.addon_pk == addon_pk, Copy.gone.is_(None))
    waiting = update(Deletion).where(
        Deletion.copy_pk.in_(mine), Deletion.done.is_(None), Deletion.last_error.startswith(WAITS)
    )
    session.execute(
        waiting.values(next_try=None, last_error=None).execution_options(synchronize_session=False)
    )


def follow(session: WriteSession, destination_pk: int, place: str) -> None:
    """The destination's objects are found at another address now."""
    waiting = update(Deletion).where(
        Deletion.destination_pk == destination_pk, Deletion.done.is_(None)
    )
    session.execute(waiting.values(place=place).execution_options(synchronize_session=False))


def is_elsewhere(deletion: Deletion, place: str | None) -> bool:
    """Was it marked for objects at another place than this one?"""
    return None not in (deletion.place, place) and deletion.place != place


def finish(session: WriteSession, pk: int, now: int, said: Outcome) -> bool:
    """The store confirmed that nothing is left. False: somebody else said so before, or it was
    another store than that in which the objects are."""
    deletion = get(session, pk)
    if deletion is None or deletion.done is not None or is_elsewhere(deletion, said.place):
        return False
    deletion.done, deletion.outcome = now, said.note
    deletion.tries += 1
    deletion.last_error = deletion.next_try = None
    session.execute(update(Copy).where(Copy.pk == deletion.copy_pk).values(gone=now, review=None))
    if deletion.copy_pk is not None:
        touch_copy(session, deletion.copy_pk)
    return True


def pending_at(session: ReadSession, destination_pk: int) -> int:
    """How many deletions still need this destination."""
    waiting = select(Deletion.pk).where(
        Deletion.destination_pk == destination_pk, Deletion.done.is_(None)
    )
    return len(list(session.scalars(waiting)))


def listed(session: ReadSession, caller: Caller, page: Page, *, open_only: bool) -> Slice[Deletion]:
    """Of projects that the caller sees, the newest first."""
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
