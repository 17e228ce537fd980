"""Rows of drills, of the questions that they ask, and of the plans that order them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from holdfast.catalog import objectives
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import (
    Addon,
    AssertionRow,
    Backup,
    Copy,
    Drill,
    DrillPlanRow,
    ProtectionRow,
)
from holdfast.catalog.storage import copies
from holdfast.contracts.drills import Assertion
from holdfast.domain.backup import IMPORTED
from holdfast.domain.operation import Status
from holdfast.domain.proof.drill import Plan, Verdict

_OPEN = Drill.completed.is_(None)  # as the index of open drills says it


def context(drill_id: str) -> str:
    """The sealing context of a kept server's password."""
    return f"drill {drill_id}"


def get(session: ReadSession, pk: int) -> Drill:
    return session.get_one(Drill, pk)


def find(session: ReadSession, addon_pk: int, drill_id: str) -> Drill | None:
    rows = select(Drill).where(Drill.addon_pk == addon_pk, Drill.id == drill_id)
    return session.scalar(rows)


def of_addon(session: ReadSession, addon: Addon, page: Page) -> Slice[Drill]:
    rows = select(Drill).where(Drill.addon_pk == addon.pk)
    return take(session, rows, Drill.pk, page, f"drills of {addon.pk}")


def open_of_addon(session: ReadSession, addon_pk: int) -> Drill | None:
    """The addon's drill that has not ended."""
    rows = select(Drill).where(Drill.addon_pk == addon_pk, _OPEN)
    return session.scalar(rows.order_by(Drill.pk).limit(1))


def put_result(row: Drill, result: Mapping[str, Any]) -> None:
    """Stores what a drill came to: `verdict`, `findings`, `times`, `version`, `size`."""
    row.verdict, row.findings = result["verdict"], result["findings"]
    row.times, row.version, row.size = result["times"], result["version"], result["size"]


def assertions_of(session: ReadSession, addon_pk: int) -> list[Assertion]:
    rows = select(AssertionRow).where(AssertionRow.addon_pk == addon_pk)
    return [
        Assertion(row.name, row.text, row.seconds, row.database)
        for row in session.scalars(rows.order_by(AssertionRow.name))
    ]


def put_assertions(session: WriteSession, addon_pk: int, assertions: Sequence[Assertion]) -> None:
    """Replaces the questions of an addon."""
    for stored in session.scalars(select(AssertionRow).where(AssertionRow.addon_pk == addon_pk)):
        session.delete(stored)
    session.flush()
    session.add_all(
        AssertionRow(
            addon_pk=addon_pk,
            name=assertion.name,
            text=assertion.text,
            seconds=round(assertion.seconds),
            database=assertion.database,
        )
        for assertion in assertions
    )
    session.flush()


def plan_of(session: ReadSession, addon_pk: int) -> Plan:
    row = _plan_row(session, addon_pk)
    return Plan() if row is None else _plan(row)


def _plan_row(session: ReadSession, addon_pk: int) -> DrillPlanRow | None:
    return session.scalar(select(DrillPlanRow).where(DrillPlanRow.addon_pk == addon_pk))


def _plan(row: DrillPlanRow) -> Plan:
    return Plan(row.scheduled, row.after_backup, row.compare_content)


def put_plan(session: WriteSession, addon_pk: int, plan: Plan) -> None:
    row = _plan_row(session, addon_pk)
    values = {
        "scheduled": plan.scheduled,
        "after_backup": plan.after_backup,
        "compare_content": plan.compare_content,
    }
    if row is None:
        session.add(DrillPlanRow(addon_pk=addon_pk, **values))
        return
    for name, value in values.items():
        setattr(row, name, value)


def restore_limit_ms(session: ReadSession, addon: Addon) -> int | None:
    """How long a restore of the addon may take, by its objective; None: no limit."""
    chosen = objectives.of_all(session)
    return objectives.effective(chosen, addon.project_pk, addon.pk).max_restore_ms


def newest_size(session: ReadSession, addon_pk: int) -> int:
    """Bytes of the addon's newest completed backup; 0 if it has none."""
    newest = (
        select(Backup.size)
        .where(Backup.addon_pk == addon_pk, Backup.status == Status.COMPLETED)
        .order_by(Backup.pk.desc())
        .limit(1)
    )
    return session.scalar(newest) or 0


@dataclass(frozen=True)
class Candidate:
    """An addon that its plan may want drilled. `first_good`, `newest`: when its first good backup
    was taken, and the key of its newest one. Instants in ms since 1970."""

    addon_pk: int
    project_pk: int
    uid: str
    plan: Plan
    first_good: int
    newest: int
    proven: int | None


def candidates(session: ReadSession) -> list[Candidate]:
    """Living addons with a good backup and no open drill."""
    going = select(Drill.addon_pk).where(_OPEN)
    rows = session.execute(
        select(
            Addon.pk,
            Addon.project_pk,
            Addon.uid,
            ProtectionRow.first_good,
            ProtectionRow.last_good_backup,
            ProtectionRow.proven,
        )
        .join(ProtectionRow, ProtectionRow.addon_pk == Addon.pk)
        .where(
            Addon.deleted.is_(None),
            ProtectionRow.last_good_backup.is_not(None),
            Addon.pk.not_in(going),
        )
    ).all()
    plans = {row.addon_pk: _plan(row) for row in session.scalars(select(DrillPlanRow))}
    return [
        Candidate(pk, project_pk, uid, plans.get(pk, Plan()), first_good, newest, proven)
        for pk, project_pk, uid, first_good, newest, proven in rows
        if first_good is not None and newest is not None
    ]


def last_of(session: ReadSession, addon_pk: int) -> Drill | None:
    """The addon's last drill, whatever became of it."""
    rows = select(Drill).where(Drill.addon_pk == addon_pk)
    return session.scalar(rows.order_by(Drill.pk.desc()).limit(1))


def count_of(session: ReadSession, addon_pk: int) -> int:
    counted = select(func.count()).select_from(Drill).where(Drill.addon_pk == addon_pk)
    return session.scalar(counted) or 0


def good_backups(session: ReadSession, addon_pk: int) -> list[int]:
    """Keys of the addon's good backups of its own data, oldest first."""
    rows = (
        select(Backup.pk)
        .join(Copy, Copy.backup_pk == Backup.pk)
        .where(
            Backup.addon_pk == addon_pk,
            Backup.deleted.is_(None),
            Backup.source.not_in(sorted(IMPORTED)),
            copies.GOOD,
        )
        .distinct()
        .order_by(Backup.pk)
    )
    return list(session.scalars(rows))


@dataclass(frozen=True)
class Outcome:
    """What drills said last of an addon. `proven`: when one last passed, and how many ms its
    restore took; `failing`: when its last clear verdict was a failure, and what was found."""

    proven: tuple[int, int] | None
    failing: tuple[int, str] | None


def last_verdicts(session: ReadSession) -> dict[int, str]:
    """Of each living addon the verdict of its last drill that came to one, by key."""
    verdict = (
        select(Drill.verdict)
        .where(Drill.addon_pk == Addon.pk, Drill.verdict.is_not(None))
        .order_by(Drill.pk.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(select(Addon.pk, verdict).where(Addon.deleted.is_(None)))
    return {addon_pk: last for addon_pk, last in rows if last is not None}


def outcomes(session: ReadSession, addon_pks: Collection[int]) -> dict[int, Outcome]:
    """Of each addon that was drilled, by the newest drills of either clear verdict."""
    newest = select(func.max(Drill.pk)).where(
        Drill.addon_pk.in_(addon_pks), Drill.verdict.in_((Verdict.PASSED, Verdict.FAILED))
    )
    rows = session.scalars(
        select(Drill).where(Drill.pk.in_(newest.group_by(Drill.addon_pk, Drill.verdict)))
    )
    by_addon: dict[int, dict[str, Drill]] = {}
    for row in rows:
        by_addon.setdefault(row.addon_pk, {})[row.verdict or ""] = row
    results: dict[int, Outcome] = {}
    for addon_pk, by_verdict in by_addon.items():
        passed, failed = by_verdict.get(Verdict.PASSED), by_verdict.get(Verdict.FAILED)
        proven = failing = None
        if passed is not None:
            proven = passed.completed or passed.created, int(passed.times.get("restore", 0))
        if failed is not None and (passed is None or passed.pk < failed.pk):
            reasons = [
                f"{finding['name']}: {finding['found']}"
                for finding in failed.findings
                if finding.get("verdict") == Verdict.FAILED
            ]
            failing = failed.completed or failed.created, "; ".join(reasons)[:500]
        results[addon_pk] = Outcome(proven, failing)
    return results
