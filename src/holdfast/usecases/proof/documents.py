"""What a report says of addons and of changes: documents of their records, as JSON has them.

Absent values are left out. Instants are RFC 3339 in UTC, sizes are bytes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from holdfast.catalog.proof.evidence import Records
from holdfast.catalog.schema import AuditEntry
from holdfast.catalog.work import schedules
from holdfast.domain.operation import OVER, Status
from holdfast.domain.protection import FIRE_SLACK_MS, Facts, Objective, Protection
from holdfast.domain.schedules.schedule import Outcome, count_due
from holdfast.domain.units import DAY_MS, MINUTE_MS
from holdfast.kit.clock import rfc3339, rfc3339_if

Document = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """The protection of a living addon when the report was made, and when it was proven last."""

    verdict: Protection
    objective: Objective
    facts: Facts


@dataclass(frozen=True)
class Names:
    """Ids by key: of destinations (None: the platform store), and of addons as `project/addon`."""

    places: Mapping[int | None, str]
    targets: Mapping[int, str]


def of_addon(
    records: Records, judged: Judged | None, names: Names, until: int, now: int
) -> Document:
    """One addon. `judged` None: it is deleted. `until`: the end of the report's period."""
    addon = records.addon
    return without_none(
        {
            "project": addon.project,
            "addon": addon.id,
            "uid": addon.uid,
            "name": addon.name,
            "type": addon.kind,
            "version": addon.version,
            "managed": addon.managed,
            "createdAt": rfc3339(addon.created),
            "deletedAt": rfc3339_if(addon.deleted),
            "protection": None if judged is None else of_protection(judged),
            "due": due(records, until, now),
            "notMade": list(not_made(records.occurrences)),
            "backups": [
                of_backup(row, records.copies.get(row.pk, ()), names) for row in records.backups
            ],
            "stored": [of_stored(row, names) for row in records.stored],
            "drills": [of_drill(row) for row in records.drills],
            "restores": [of_restore(row, names) for row in records.restores],
            "deletions": [of_deletion(row, names) for row in records.deletions],
        }
    )


def of_protection(judged: Judged) -> Document:
    verdict, objective, facts = judged.verdict, judged.objective, judged.facts
    return {
        "state": str(verdict.state),
        "since": rfc3339_if(verdict.since),
        "reasons": [
            {"sentence": reason.sentence, "since": rfc3339(reason.since)}
            for reason in verdict.reasons
        ],
        "objective": {
            "maxAgeMinutes": _in(verdict.max_age_ms, MINUTE_MS),
            "maxRestoreMinutes": _in(objective.max_restore_ms, MINUTE_MS),
            "provenWithinDays": _in(objective.proof_ms, DAY_MS),
            "places": objective.places,
        },
        "lastGoodAt": rfc3339_if(facts.last_good),
        "lastRecoverableAt": rfc3339_if(facts.last_recoverable),
        "stores": facts.places,
        "provenAt": rfc3339_if(facts.proven),
        "proofSeconds": _seconds(facts.proof_ms),
    }


def due(records: Records, until: int, now: int) -> dict[str, int]:
    """What schedules asked for in the period, and what came of it; the parts add up to `due`.

    A backup that several schedules wanted was due once; while a schedule was paused, nothing was.
    `undecided`: the instant has passed, and
    no scheduler decided about it. `forgotten`: it was fired, and its backup was deleted so long ago
    that its records are gone.
    """
    counts: Counter[str] = Counter(made=0, failed=0, missed=0, open=0, undecided=0, forgotten=0)
    counted: set[int] = set()
    for row in records.occurrences:
        if row.outcome == Outcome.PAUSED:
            continue
        if row.outcome != Outcome.FIRED:
            counts["missed"] += row.count
        elif row.backup_pk is None:
            counts["forgotten"] += 1
        elif row.backup_pk not in counted:
            counted.add(row.backup_pk)
            counts[_result(row.status)] += 1
    passed = min(until - 1, now - FIRE_SLACK_MS)
    for schedule in records.schedules:
        if schedule.paused is not None:
            continue
        counts["undecided"] += count_due(schedules.rule(schedule), schedule.next_due - 1, passed)
    return {"due": counts.total(), **counts}


def _result(status: str) -> str:
    if status == Status.COMPLETED:
        return "made"
    return "failed" if status in OVER else "open"


def not_made(occurrences: Iterable[Any]) -> Iterable[Document]:
    for row in occurrences:
        if row.outcome != Outcome.FIRED:
            yield without_none(
                {
                    "schedule": row.schedule,
                    "at": rfc3339(row.instant),
                    "since": rfc3339(row.since) if row.count > 1 else None,
                    "count": row.count,
                    "outcome": row.outcome,
                    "reason": row.reason,
                }
            )
        elif row.backup_pk is not None and _result(row.status) == "failed":
            yield without_none(
                {
                    "schedule": row.schedule,
                    "at": rfc3339(row.instant),
                    "count": 1,
                    "outcome": row.status,
                    "reason": row.backup_reason,
                    "backup": row.backup,
                }
            )


def of_backup(row: Any, copies: Sequence[Any], names: Names) -> Document:
    return without_none(
        {
            "id": row.id,
            "uid": row.uid,
            "name": row.name,
            "type": row.type,
            "source": row.source,
            "schedules": [str(schedule.get("id")) for schedule in row.schedules or ()] or None,
            "status": row.status,
            "reason": row.reason,
            "bytes": row.size,
            "serverVersion": row.version or None,
            "warnings": row.warnings,
            "createdAt": rfc3339(row.created),
            "completedAt": rfc3339_if(row.completed),
            "deletedAt": rfc3339_if(row.deleted),
            "copies": [of_copy(copy, names) for copy in copies],
        }
    )


def of_copy(row: Any, names: Names) -> Document:
    return without_none(
        {
            "place": names.places.get(row.destination_pk),
            "status": row.status,
            "reason": row.reason,
            "bytes": row.size,
            "completedAt": rfc3339_if(row.completed),
            "readAt": rfc3339_if(row.read_at or None),
            "expiresAt": rfc3339_if(row.expires),
            "lostAt": rfc3339_if(row.lost),
            "spoiled": row.spoiled,
            "goneAt": rfc3339_if(row.gone),
        }
    )


def of_stored(row: Any, names: Names) -> Document:
    """`unread`: good copies that were not read in whole yet; of snapshots the packs are read."""
    snapshots = row.type == "snapshot"
    return without_none(
        {
            "place": names.places.get(row.destination_pk),
            "type": row.type,
            "copies": row.good,
            "lost": row.lost,
            "spoiled": row.spoiled,
            "bytes": int(row.bytes or 0),
            "oldestBackupAt": rfc3339_if(row.oldest),
            "newestBackupAt": rfc3339_if(row.newest),
            "unread": None if snapshots else row.unread,
            "leastRecentReadAt": None if snapshots else rfc3339_if(row.read_first or None),
            "lastReadAt": rfc3339_if((row.packs_read if snapshots else row.read_last) or None),
        }
    )


def of_drill(row: Any) -> Document:
    return without_none(
        {
            "id": row.id,
            "backup": row.backup,
            "targetTimestamp": rfc3339_if(row.instant),
            "cause": row.cause,
            "status": row.status,
            "reason": row.reason,
            "verdict": row.verdict,
            "findings": row.findings,
            "opinions": row.opinions,
            "seconds": {name: ms / 1000 for name, ms in row.times.items()},
            "serverVersion": row.version,
            "bytes": row.size,
            "createdAt": rfc3339(row.created),
            "completedAt": rfc3339_if(row.completed),
        }
    )


def of_restore(row: Any, names: Names) -> Document:
    took = None if row.ended is None or row.started is None else row.ended - row.started
    return without_none(
        {
            "id": row.id,
            "backup": row.backup,
            "into": names.targets.get(row.target_pk, "an addon of another project"),
            "status": row.status,
            "reason": row.reason,
            "undoes": row.undoes,
            "seconds": _seconds(took),
            "createdAt": rfc3339(row.created),
            "completedAt": rfc3339_if(row.completed),
        }
    )


def of_deletion(row: Any, names: Names) -> Document:
    return without_none(
        {
            "backup": row.backup,
            "place": names.places.get(row.destination_pk),
            "reason": row.reason,
            "decidedAt": rfc3339(row.created),
            "dueAt": rfc3339(row.due),
            "begunAt": rfc3339_if(row.begun),
            "doneAt": None if row.called_off else rfc3339_if(row.done),
            "calledOff": row.called_off,
            "problem": row.last_error,
            "outcome": row.outcome,
        }
    )


def of_change(entry: AuditEntry) -> Document:
    return without_none(
        {
            "id": str(entry.pk),
            "at": rfc3339(entry.at),
            "requestId": entry.request,
            "address": entry.address,
            "actor": {"tokenId": entry.token, "name": entry.actor, "role": entry.role},
            "action": entry.action,
            "object": {
                "kind": entry.kind,
                "id": entry.object,
                "project": entry.project,
                "addon": entry.addon,
            },
            "before": entry.before,
            "after": entry.after,
        }
    )


def without_none(fields: Mapping[str, Any]) -> Document:
    """Leaves out what is absent, in this document and those below it."""
    return {
        name: without_none(cast("Document", value)) if isinstance(value, dict) else value
        for name, value in fields.items()
        if value is not None
    }


def _in(ms: int | None, unit_ms: int) -> int | None:
    return None if ms is None else ms // unit_ms


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
