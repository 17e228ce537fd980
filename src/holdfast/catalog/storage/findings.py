"""What inventories of stores found: one open row for each odd thing, however often it is seen."""

from dataclasses import dataclass

from sqlalchemy import select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Finding
from holdfast.catalog.storage.deletions import copies_seen
from holdfast.domain.access import Caller

DAMAGED = "damaged"
"""An object of a repository that is not what was written; no copy is lost by that alone."""


@dataclass(frozen=True)
class Sighting:
    """`destination_pk` None is the platform store; `bytes` and `objects` are those found there."""

    destination_pk: int | None
    kind: str
    prefix: str
    reason: str
    objects: int = 0
    bytes: int = 0
    copy_pk: int | None = None


def report(session: WriteSession, what: Sighting, now: int) -> Finding:
    """The open finding of this kind at this place, new or seen again."""
    known = select(Finding).where(
        Finding.settled.is_(None),
        Finding.destination_pk.is_not_distinct_from(what.destination_pk),
        Finding.prefix == what.prefix,
        Finding.kind == what.kind,
    )
    finding = session.scalar(known.limit(1))
    if finding is None:
        finding = Finding(
            destination_pk=what.destination_pk, kind=what.kind, prefix=what.prefix, created=now
        )
        session.add(finding)
    finding.reason, finding.copy_pk = what.reason, what.copy_pk
    finding.objects, finding.bytes = what.objects, what.bytes
    finding.seen = now
    session.flush()
    return finding


def settle(session: WriteSession, pk: int, outcome: str, now: int) -> None:
    finding = session.get_one(Finding, pk)
    if finding.settled is None:
        finding.settled, finding.outcome = now, outcome


def open_since(session: ReadSession, place: int | None, kind: str, prefix: str) -> int | None:
    """When the open finding of this kind was made; None: there is none."""
    known = select(Finding.created).where(
        Finding.settled.is_(None),
        Finding.destination_pk.is_not_distinct_from(place),
        Finding.prefix == prefix,
        Finding.kind == kind,
    )
    return session.scalar(known.limit(1))


def open_of_copy(session: ReadSession, copy_pk: int) -> list[Finding]:
    rows = select(Finding).where(Finding.copy_pk == copy_pk, Finding.settled.is_(None))
    return list(session.scalars(rows))


def listed(
    session: ReadSession, caller: Caller, page: Page, kind: str | None = None
) -> Slice[Finding]:
    """The newest first. What belongs to no project is shown only to those who see all of them."""
    rows = select(Finding)
    if kind is not None:
        rows = rows.where(Finding.kind == kind)
    if caller.projects is not None:
        rows = rows.where(Finding.copy_pk.in_(copies_seen(caller)))
    return take(session, rows, Finding.pk, page, f"findings {kind}")
