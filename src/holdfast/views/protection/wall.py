"""Protection as the API shows it. Nothing writes, and nothing counts backups."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from holdfast.catalog import objectives, projects, protected_rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.objectives import Scope
from holdfast.catalog.protected_rows import ProtectedRow
from holdfast.domain.access import Caller
from holdfast.domain.protection import ORDER, Objective, Protection, judge
from holdfast.domain.units import DAY_MS, MINUTE_MS
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.protection import (
    ObjectiveView,
    ProtectedAddon,
    ProtectionDay,
    ProtectionItem,
    ProtectionReason,
    ProtectionView,
    ProtectionWall,
)


def wall(
    session: ReadSession, caller: Caller, now: int, project: str | None, states: Sequence[str]
) -> ProtectionWall:
    """Every addon that the caller sees, the worst first, then by project and id."""
    verdicts = judged(session, caller, now, project)
    verdicts.sort(key=lambda entry: (ORDER[entry[1].state], entry[2], entry[0].id))
    counts = Counter(str(verdict.state) for _, verdict, _ in verdicts)
    items = [
        _item(row, verdict, project_id)
        for row, verdict, project_id in verdicts
        if not states or verdict.state in states
    ]
    return ProtectionWall(addons=items, counts=dict(counts))


def judged(
    session: ReadSession, caller: Caller, now: int, project: str | None
) -> list[tuple[ProtectedRow, Protection, str]]:
    """Every addon that the caller sees, its verdict, and the id of its project."""
    names = {
        pk: identifier
        for pk, identifier in projects.living_ids(session).items()
        if caller.sees(identifier) and project in (None, identifier)
    }
    chosen = objectives.of_all(session)
    everything = caller.projects is None and project is None
    rows = protected_rows.rows_of(session, None if everything else list(names))
    return [
        (
            row,
            judge(row.facts, objectives.effective(chosen, row.project_pk, row.addon_pk), now),
            names[row.project_pk],
        )
        for row in rows
        if row.project_pk in names
    ]


def of_addon(session: ReadSession, addon_pk: int, project_id: str, now: int) -> ProtectionView:
    row = protected_rows.row_of(session, addon_pk)
    objective = objectives.effective(objectives.of_all(session), row.project_pk, addon_pk)
    item = _item(row, judge(row.facts, objective, now), project_id)
    return ProtectionView(
        **dict(item),
        objective=objective_view(objective),
        days=[
            ProtectionDay(
                date=datetime.fromtimestamp(day.start / 1000, UTC).date().isoformat(),
                due=day.due,
                good=day.good,
                failed=day.failed,
                missed=day.missed,
            )
            for day in row.days
        ],
    )


def objective_of(chosen: Mapping[Scope, Objective], scope: Scope) -> ObjectiveView:
    """What was set for a scope itself."""
    return objective_view(chosen.get(scope, Objective()))


def objective_view(objective: Objective) -> ObjectiveView:
    return ObjectiveView(
        max_age_minutes=_in(objective.max_age_ms, MINUTE_MS),
        max_restore_minutes=_in(objective.max_restore_ms, MINUTE_MS),
        proven_within_days=_in(objective.proof_ms, DAY_MS),
        places=objective.places,
    )


def _in(ms: int | None, unit_ms: int) -> int | None:
    return None if ms is None else ms // unit_ms


def _item(row: ProtectedRow, verdict: Protection, project_id: str) -> ProtectionItem:
    facts = row.facts
    return ProtectionItem(
        addon=ProtectedAddon(id=row.id, name=row.name, type=row.kind, project_id=project_id),
        state=verdict.state,
        since=rfc3339_if(verdict.since),
        reasons=[
            ProtectionReason(sentence=reason.sentence, since=rfc3339(reason.since))
            for reason in verdict.reasons
        ],
        first_good_at=rfc3339_if(facts.first_good),
        last_good_at=rfc3339_if(facts.last_good),
        last_recoverable_at=rfc3339_if(facts.last_recoverable),
        next_due_at=rfc3339_if(facts.next_due),
        max_age_minutes=_in(verdict.max_age_ms, MINUTE_MS),
        proven_at=rfc3339_if(facts.proven),
        proof_seconds=None if facts.proof_ms is None else facts.proof_ms / 1000,
        places=facts.places,
        bytes=str(row.bytes),
    )
