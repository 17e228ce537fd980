"""A sample fleet: thirty made-up databases with weeks of made-up history, marked as sample.

Every row is written as the real thing leaves it, so that lists, pages and reports are full; but the
servers do not exist and the backups have no bytes. Each addon has the tag `sample`, and its project
says so. The history is the same in every demonstration.
"""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from holdfast.bootstrap.parts import Parts
from holdfast.catalog import destinations
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import (
    Addon,
    Backup,
    Copy,
    Destination,
    Drill,
    DrillPlanRow,
    ObjectiveRow,
    Occurrence,
    Operation,
    Project,
    Restore,
    Schedule,
)
from holdfast.domain.schedules.schedule import Interval, Outcome, Scheduling, next_due
from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from holdfast.kit.seal import Secret
from holdfast.settings import Settings

TAG = "sample"
DAYS = 28
"""Of history."""
_RETENTION_DAYS = 45
_DESCRIPTION = "Sample data: made-up servers and history, backups without bytes"
_GB = 1_000_000_000
_RESTORE_BYTES_PER_MS = 90_000
_HOST = "sample.invalid"

PROJECTS = {
    "Web shop": (
        ("orders", "postgresql", "17.6", 38.0),
        ("customers", "postgresql", "17.6", 12.4),
        ("catalogue", "mysql", "11.4.8", 6.1),
        ("carts", "redis", "8.2.1", 1.9),
        ("sessions", "redis", "8.2.1", 0.8),
        ("search-queue", "redis", "7.4.2", 0.2),
        ("payments", "postgresql", "16.10", 21.7),
        ("vouchers", "mysql", "10.11.14", 0.9),
    ),
    "Back office": (
        ("ledger", "postgresql", "16.10", 54.3),
        ("invoices", "postgresql", "16.10", 17.8),
        ("payroll", "mysql", "11.4.8", 3.3),
        ("contracts", "postgresql", "15.14", 2.2),
        ("time-sheets", "mysql", "10.11.14", 1.4),
        ("inventory", "postgresql", "17.6", 9.9),
        ("suppliers", "sqlite", "3.46.1", 0.4),
    ),
    "Insight": (
        ("events", "postgresql", "17.6", 96.5),
        ("metrics", "postgresql", "17.6", 71.2),
        ("dashboards", "sqlite", "3.46.1", 0.1),
        ("experiments", "mysql", "11.4.8", 4.8),
        ("feature-flags", "redis", "8.2.1", 0.1),
        ("reports", "postgresql", "15.14", 13.6),
        ("geo", "postgresql", "16.10", 28.4),
    ),
    "Internal": (
        ("wiki", "mysql", "10.11.14", 2.7),
        ("tickets", "postgresql", "16.10", 7.5),
        ("chat", "postgresql", "17.6", 15.1),
        ("builds", "sqlite", "3.46.1", 0.6),
        ("registry", "postgresql", "17.6", 3.9),
        ("cache", "redis", "7.4.2", 0.5),
        ("documents", "mongodb", "6.0.27", 5.6),
        ("legacy-crm", "mysql", "10.11.14", 11.0),
    ),
}
"""By project: name, engine, version and gigabytes."""

FAILING = {
    "payroll": 'password authentication failed for user "holdfast"',
    "legacy-crm": "the server at sample.invalid:3306 does not answer: connection refused",
}
"""Addons whose last three backups failed, and why."""
UNPLANNED = frozenset({"cache"})
PAUSED = frozenset({"vouchers"})
UNPROVEN = frozenset({"geo", "tickets"})
"""No drill of theirs has passed, and their objective wants one every two weeks."""
LOST = frozenset({"ledger"})
"""The second copy of their newest backup was found missing."""
COPIED = frozenset({"orders", "payments", "ledger", "invoices", "events"})
"""Their backups have a copy at a second store."""


@dataclass(frozen=True)
class _Plan:
    addon: Addon
    gigabytes: float
    rule: Scheduling
    schedule_pk: int | None
    second_store: int | None


def fill_sample(data_dir: Path) -> int:
    """Writes the fleet into the catalogue in `data_dir`, where no server may run; returns how many
    addons it has."""
    parts = Parts(Settings(data_dir=data_dir))
    parts.master  # noqa: B018 - made, because nothing starts without it where secrets are
    _mark_store(parts)
    now, chance = parts.clock.now(), random.Random(7)
    with parts.catalog.write() as session:
        store = _second_store(session, parts, now)
        count = 0
        for title, databases in PROJECTS.items():
            project = Project(
                id=title.lower().replace(" ", "-"),
                name=title,
                description=_DESCRIPTION,
                created=now - 2 * DAYS * DAY_MS,
                updated=now,
            )
            session.add(project)
            session.flush()
            for name, kind, version, gigabytes in databases:
                plan = _add_addon(session, project, (name, kind, version, gigabytes), store, now)
                _add_history(session, plan, chance, now)
                count += 1
    parts.catalog.close()
    return count


def _mark_store(parts: Parts) -> None:
    """Makes the platform store, which has to be there when the catalogue knows of backups."""
    upload = parts.store(None).begin(TAG)
    upload.write(_DESCRIPTION.encode())
    upload.commit()


def _second_store(session: WriteSession, parts: Parts, now: int) -> Destination:
    """A bucket that does not exist either: its alarm is part of the picture."""
    identifier = "second-site"
    store = Destination(
        id=identifier,
        name="Second site",
        description=_DESCRIPTION,
        kind="s3",
        prefix="holdfast",
        options={
            "access_key": "SAMPLE",
            "bucket_name": "sample-backups",
            "region": "eu-central-1",
            "endpoint": f"https://{_HOST}",
        },
        sealed_secret=parts.sealer.seal(Secret("sample"), destinations.context(identifier)),
        created=now - 2 * DAYS * DAY_MS,
        updated=now,
    )
    session.add(store)
    session.flush()
    return store


def _add_addon(
    session: WriteSession,
    project: Project,
    database: tuple[str, str, str, float],
    store: Destination,
    now: int,
) -> _Plan:
    name, kind, version, gigabytes = database
    began = now - 2 * DAYS * DAY_MS
    addon = Addon(
        uid=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{_HOST}")),
        project_pk=project.pk,
        id=name,
        name=name,
        description=_DESCRIPTION,
        kind=kind,
        version=version,
        managed=False,
        desired="paused" if name in PAUSED else "running",
        status="paused" if name in PAUSED else "running",
        host=_HOST,
        port={
            "postgresql": 5432,
            "mysql": 3306,
            "mongodb": 27017,
            "redis": 6379,
            "sqlite": 0,
        }[kind],
        user="holdfast",
        database=name,
        options={},
        sealed_password="",
        tags=[TAG],
        spec={},
        created=began,
        updated=now - 3 * DAY_MS,
    )
    session.add(addon)
    session.flush()
    session.add(
        DrillPlanRow(addon_pk=addon.pk, scheduled=False, after_backup=False, compare_content=False)
    )
    rule = Scheduling(Interval.DAILY, (addon.pk * 7 % 60,), (addon.pk % 5,))
    second = store.pk if name in COPIED else None
    if name in COPIED or name in UNPROVEN:
        session.add(
            ObjectiveRow(
                scope=f"{project.pk}/{addon.pk}",
                project_pk=project.pk,
                addon_pk=addon.pk,
                max_restore_ms=20 * MINUTE_MS,
                proof_ms=14 * DAY_MS,
                places=2 if name in COPIED else 1,
                updated=now,
            )
        )
    schedule_pk = None
    if name not in UNPLANNED:
        schedule_pk = _add_schedule(session, addon, rule, second, now)
    return _Plan(addon, gigabytes, rule, schedule_pk, second)


def _add_schedule(
    session: WriteSession, addon: Addon, rule: Scheduling, second_store: int | None, now: int
) -> int:
    additional = [{"destination": second_store, "retention": None}] if second_store else []
    schedule = Schedule(
        id=f"{addon.pk:024x}",
        addon_pk=addon.pk,
        type="snapshot" if addon.kind == "redis" else "dump",
        compression=None if addon.kind == "redis" else "zstd",
        additional=additional,
        interval=rule.interval,
        minute=list(rule.minute),
        hour=list(rule.hour),
        day=[],
        retention=_RETENTION_DAYS,
        next_due=next_due(rule, now),
        created=addon.created,
        updated=addon.created,
    )
    session.add(schedule)
    session.flush()
    return schedule.pk


def _instants(plan: _Plan, now: int) -> Iterator[int]:
    at = next_due(plan.rule, now - DAYS * DAY_MS)
    while at < now:
        yield at
        at = next_due(plan.rule, at)


def _add_history(session: WriteSession, plan: _Plan, chance: random.Random, now: int) -> None:
    """A backup for each instant that was due, now and then one that failed or was missed, and a
    drill each week."""
    name, instants = plan.addon.name, list(_instants(plan, now))
    if name in UNPLANNED:
        instants = instants[:1]
    for number, at in enumerate(instants):
        last_three = number >= len(instants) - 3
        reason = FAILING.get(name) if last_three else None
        if reason is None and not last_three and chance.random() < 0.01:
            reason = "the server closed the connection while table 14 was read"
        if reason is None and not last_three and chance.random() < 0.005:
            _add_occurrence(session, plan, at, Outcome.MISSED, None)
            continue
        size = int(plan.gigabytes * _GB * (0.8 + 0.2 * number / DAYS + 0.01 * chance.random()) / 4)
        backup = _add_backup(session, plan, at, size, reason)
        if name in LOST and number == len(instants) - 1:
            _lose_second_copy(session, backup, at + 5 * HOUR_MS)
        _add_occurrence(session, plan, at, Outcome.FIRED, backup.pk)
        proven_lately = name not in UNPROVEN
        if reason is None and number % 7 == plan.addon.pk % 7 and proven_lately:
            _add_drill(session, plan.addon, backup, at + 2 * HOUR_MS)
        if reason is None and number == 11 and plan.addon.pk % 9 == 0:
            _add_restore(session, plan.addon, backup, at + 9 * HOUR_MS)


def _add_occurrence(
    session: WriteSession, plan: _Plan, at: int, outcome: Outcome, backup_pk: int | None
) -> None:
    if plan.schedule_pk is None:
        return
    reason = "no scheduler was running" if outcome is Outcome.MISSED else "due"
    session.add(
        Occurrence(
            schedule_pk=plan.schedule_pk,
            instant=at,
            since=at,
            count=1,
            outcome=outcome,
            reason=reason,
            backup_pk=backup_pk,
            decided=at + 200,
        )
    )


def _add_operation(
    session: WriteSession, addon: Addon, kind: str, began: int, ended: int, reason: str | None
) -> str:
    identifier = uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind} {addon.pk} {began}").hex[:24]
    session.add(
        Operation(
            id=identifier,
            addon_pk=addon.pk,
            kind=kind,
            lane="any",
            priority=5,
            status="completed" if reason is None else "failed",
            fence=1,
            attempt=1,
            worker=TAG,
            arguments={},
            record={},
            reason=reason,
            created=began,
            started=began,
            ended=ended,
        )
    )
    return identifier


def _add_backup(
    session: WriteSession, plan: _Plan, at: int, size: int, reason: str | None
) -> Backup:
    addon, took = plan.addon, 4_000 + size // 60_000
    status = "completed" if reason is None else "failed"
    operation = _add_operation(session, addon, "backup", at, at + took, reason)
    is_snapshot = addon.kind == "redis"
    cause = {
        "id": f"{addon.pk:024x}",
        "interval": plan.rule.interval,
        "minute": list(plan.rule.minute),
        "hour": list(plan.rule.hour),
        "retentionTime": _RETENTION_DAYS,
    }
    day = at // DAY_MS
    backup = Backup(
        uid=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{addon.pk} {at}")),
        addon_pk=addon.pk,
        id=f"daily-{day}",
        name=f"Daily {day}",
        type="snapshot" if is_snapshot else "dump",
        source="snapshot" if is_snapshot else "sameAddon",
        provenance="own",
        compression=None if is_snapshot else "zstd",
        schedules=[cause] if plan.schedule_pk else None,
        status=status,
        reason=reason,
        size=size if reason is None else 0,
        version=addon.version,
        retained=False,
        operation=operation,
        created=at,
        completed=at + took,
    )
    session.add(backup)
    session.flush()
    stores = [None] if plan.second_store is None else [None, plan.second_store]
    for destination_pk in stores:
        session.add(
            Copy(
                backup_pk=backup.pk,
                addon_pk=addon.pk,
                destination_pk=destination_pk,
                additional=destination_pk is not None,
                status=status,
                reason=reason,
                size=backup.size,
                objects=f"{TAG}/{backup.uid}/1/" if reason is None else None,
                created=at,
                completed=at + took,
                expires=at + _RETENTION_DAYS * DAY_MS if reason is None else None,
                review=at + _RETENTION_DAYS * DAY_MS if reason is None else None,
                read_at=at + took if reason is None else 0,
            )
        )
    session.flush()
    return backup


def _lose_second_copy(session: WriteSession, backup: Backup, at: int) -> None:
    second = select(Copy).where(Copy.backup_pk == backup.pk, Copy.additional)
    session.scalars(second).one().lost = at
    session.flush()


def _add_drill(session: WriteSession, addon: Addon, backup: Backup, at: int) -> None:
    load = 3_000 + backup.size // _RESTORE_BYTES_PER_MS
    fetch = 500 + backup.size // 400_000
    times = {"fetch": fetch, "server": 2_100, "load": load, "firstQuery": 40}
    times["restore"] = load + 40
    times["predicted"] = round(times["restore"] * 1.02)
    ended = at + times["restore"] + 6_000
    findings = [
        {"name": name, "verdict": "passed", "found": fact}
        for name, fact in (
            ("the bytes fetched are those that were stored", "4 members"),
            ("objects and rows equal the manifest", "no difference in 41 tables"),
            ("the content equals the artifact", "41 tables, byte for byte"),
        )
    ]
    operation = _add_operation(session, addon, "drill", at, ended, None)
    session.add(
        Drill(
            id=uuid.uuid5(uuid.NAMESPACE_DNS, f"drill {backup.uid}").hex[:24],
            addon_pk=addon.pk,
            backup_pk=backup.pk,
            cause="plan",
            status="completed",
            operation=operation,
            verdict="passed",
            findings=findings,
            times=times,
            version=addon.version,
            size=backup.size * 4,
            keep_minutes=0,
            opinions=[],
            created=at,
            completed=ended,
        )
    )


def _add_restore(session: WriteSession, addon: Addon, backup: Backup, at: int) -> None:
    ended = at + 3_000 + backup.size // _RESTORE_BYTES_PER_MS
    operation = _add_operation(session, addon, "restore", at, ended, None)
    session.add(
        Restore(
            id=uuid.uuid5(uuid.NAMESPACE_DNS, f"restore {backup.uid}").hex[:24],
            backup_pk=backup.pk,
            addon_pk=addon.pk,
            status="completed",
            operation=operation,
            created=at,
            completed=ended,
        )
    )
