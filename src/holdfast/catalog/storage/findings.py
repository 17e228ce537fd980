"""Findings of store checks: one open row for each problem, however often it is seen."""

from dataclasses import dataclass

from sqlalchemy import select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Finding
from holdfast.catalog.storage.deletions import copies_seen
from holdfast.domain.access import Caller

DAMAGED = "damaged"
"""Kind of finding: a repository object is not what was written; that alone loses no copy."""


@dataclass(frozen=True)
class Sighting:
    """A problem seen in a store. `destination_pk` None is the platform store; `bytes` and `objects`
    are the amounts found."""

    destination_pk: int | None
    kind: str
    prefix: str
    reason: str
    objects: int = 0
    bytes: int = 0
    copy_pk: int | None = None


def report(session: WriteSession, sighting: Sighting, now: int) -> Finding:
    """Records a sighting: a new finding, or the open one of this kind and prefix seen again."""
    statement = select(Finding).where(
        Finding.settled.is_(None),
        Finding.destination_pk.is_not_distinct_from(sighting.destination_pk),
        Finding.prefix == sighting.prefix,
        Finding.kind == sighting.kind,
    )
    finding = session.scalar(statement.limit(1))
    if finding is None:
        finding = Finding(
            destination_pk=sighting.destination_pk,
            kind=sighting.kind,
            prefix=sighting.prefix,
            created=now,
        )
        session.add(finding)
    finding.reason, finding.copy_pk = sighting.reason, sighting.copy_pk
    finding.objects, finding.bytes = sighting.objects, sighting.bytes
    finding.seen = now
    session.flush()
    return finding


def settle(session: WriteSession, pk: int, outcome: str, now: int) -> None:
    finding = session.get_one(Finding, pk)
    if finding.settled is None:
        finding.settled, finding.outcome = now, outcome


def open_since(
    session: ReadSession, destination_pk: int | None, kind: str, prefix: str
) -> int | None:
    """When the open finding of this kind and prefix was made; None: there is none."""
    statement = select(Finding.created).where(
        Finding.settled.is_(None),
        Finding.destination_pk.is_not_distinct_from(destination_pk),
        Finding.prefix == prefix,
        Finding.kind == kind,
    )
    return session.scalar(statement.limit(1))


def open_of_copy(session: ReadSession, copy_pk: int) -> list[Finding]:
    rows = select(Finding).where(Finding.copy_pk == copy_pk, Finding.settled.is_(None))
    return list(session.scalars(rows))


def listed(
    session: ReadSession, caller: Caller, page: Page, kind: str | None = None
) -> Slice[Finding]:
    """Findings, the newest first. Those of no project only for callers that see all projects."""
    rows = select(Finding)
    if kind is not None:
        rows = rows.where(Finding.kind == kind)
    if caller.projects is not None:
        rows = rows.where(Finding.copy_pk.in_(copies_seen(caller)))
    return take(session, rows, Finding.pk, page, f"findings {kind}")
