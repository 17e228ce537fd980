"""What there is to measure: samples of addons and of work, read from rows that are kept anyway."""

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.protected_rows import ProtectedRow
from holdfast.catalog.work import open_operations
from holdfast.domain.access import Caller
from holdfast.domain.operation import Status
from holdfast.domain.protection import Protection
from holdfast.views.protection.wall import judged

ADDON_GAUGES: Mapping[str, str] = {
    "first_recoverable_timestamp_seconds": "When the oldest good backup was taken.",
    "last_recoverable_timestamp_seconds": "When the newest good backup was taken.",
    "last_good_backup_age_seconds": "How old the newest good backup is.",
    "objective_max_age_seconds": "How old the newest good backup may be.",
    "last_proven_restore_timestamp_seconds": "When a restore last ended well.",
    "last_proven_restore_seconds": "How long that restore took.",
    "next_backup_timestamp_seconds": "When the next backup is due.",
    "good_copies": "Stores that hold a good copy of the newest good backup.",
    "lost_copies": "Copies of the newest good backup that are lost.",
    "stored_bytes": "Bytes of all good copies, in all stores.",
}
"""Gauges of each addon, by the end of their names, and what they say."""


@dataclass(frozen=True, slots=True)
class AddonSample:
    """One addon: its labels, and its gauges by name; None: there is no such value."""

    project: str
    addon: str
    type: str
    state: str
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class WorkSample:
    """How many operations of a kind have a status; of waiting ones how long the oldest waits."""

    kind: str
    status: str
    count: int
    oldest_wait_seconds: float | None


def addons(session: ReadSession, caller: Caller, now: int) -> list[AddonSample]:
    return [
        AddonSample(project, row.id, row.kind, verdict.state, _values(row, verdict, now))
        for row, verdict, project in judged(session, caller, now, None)
    ]


def work(session: ReadSession, caller: Caller, now: int) -> list[WorkSample]:
    """Of the whole installation, so only for callers that see every project."""
    if caller.projects is not None:
        return []
    return [
        WorkSample(
            kind, status, count, _seconds(now - oldest) if status == Status.SCHEDULED else None
        )
        for kind, status, count, oldest in open_operations.counts(session)
    ]


def _values(row: ProtectedRow, verdict: Protection, now: int) -> dict[str, float | None]:
    facts = row.facts
    age = None if facts.last_good is None else now - facts.last_good
    return {
        "first_recoverable_timestamp_seconds": _seconds(facts.first_good),
        "last_recoverable_timestamp_seconds": _seconds(facts.last_good),
        "last_good_backup_age_seconds": _seconds(age),
        "objective_max_age_seconds": _seconds(verdict.max_age_ms),
        "last_proven_restore_timestamp_seconds": _seconds(facts.proven),
        "last_proven_restore_seconds": _seconds(facts.proof_ms),
        "next_backup_timestamp_seconds": _seconds(facts.next_due),
        "good_copies": facts.places,
        "lost_copies": facts.lost,
        "stored_bytes": row.bytes,
    }


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
