"""Proof of all addons: who was restored and compared in time, and how long people would wait."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.catalog import addons, backups, objectives, projects
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.work import ended
from holdfast.domain.access import Caller
from holdfast.views.dashboard.changes import names_of
from holdfast.views.protection.wall import judged


@dataclass(frozen=True, slots=True)
class Proven:
    """What was proven of one addon. Instants and durations in ms; None: never, or no limit."""

    project_id: str
    id: str
    name: str
    kind: str
    proven: int | None
    proof_ms: int | None
    limit_ms: int | None
    within_ms: int
    first_good: int | None
    failing: bool

    def is_current(self, now: int) -> bool:
        return self.proven is not None and now - self.proven <= self.within_ms and not self.failing

    @property
    def share(self) -> float | None:
        """How much of its limit the last restore took; None without a limit."""
        if self.limit_ms is None or self.proof_ms is None:
            return None
        return self.proof_ms / self.limit_ms


def proofs(session: ReadSession, caller: Caller, now: int) -> list[Proven]:
    """Every addon that the caller sees, the longest restore first."""
    chosen = objectives.of_all(session)
    rows = [
        Proven(
            project_id=project_id,
            id=row.id,
            name=row.name,
            kind=row.kind,
            proven=row.facts.proven,
            proof_ms=row.facts.proof_ms,
            limit_ms=objectives.effective(chosen, row.project_pk, row.addon_pk).max_restore_ms,
            within_ms=verdict.proof_within_ms,
            first_good=row.facts.first_good,
            failing=row.facts.drill_failing is not None,
        )
        for row, verdict, project_id in judged(session, caller, now, None)
    ]
    return sorted(rows, key=lambda row: (-(row.proof_ms or 0), row.project_id, row.id))


@dataclass(frozen=True, slots=True)
class Trial:
    """One drill, or one restore. `verdict` is that of a drill, or the status of a restore."""

    id: str
    is_drill: bool
    project_id: str
    addon_id: str
    backup_id: str
    at: int
    verdict: str
    took_ms: int | None
    text: str


def trials(session: ReadSession, caller: Caller, limit: int) -> list[Trial]:
    """The latest drills and restores of all addons that the caller sees."""
    visible = {
        pk for pk, project_id in projects.living_ids(session).items() if caller.sees(project_id)
    }
    project_pks = None if caller.projects is None else visible
    drills = ended.drills_before(session, project_pks, None, limit)
    restores = ended.restores_before(session, project_pks, limit)
    names = names_of(session, {row.addon_pk for row in (*drills, *restores)})
    living = addons.by_pk(session, names)
    backup_ids = backups.ids_of(session, [row.backup_pk for row in (*drills, *restores)])
    rows = [
        Trial(
            id=drill.id,
            is_drill=True,
            project_id=names[drill.addon_pk][0],
            addon_id=names[drill.addon_pk][1],
            backup_id=backup_ids[drill.backup_pk],
            at=drill.created,
            verdict=drill.verdict or drill.status,
            took_ms=drill.times.get("restore"),
            text=_summary(drill.findings) or drill.reason or "",
        )
        for drill in drills
        if living[drill.addon_pk].deleted is None
    ]
    rows += [
        Trial(
            id=restore.id,
            is_drill=False,
            project_id=names[restore.addon_pk][0],
            addon_id=names[restore.addon_pk][1],
            backup_id=backup_ids[restore.backup_pk],
            at=restore.created,
            verdict=restore.status,
            took_ms=None if restore.completed is None else restore.completed - restore.created,
            text=restore.reason or "",
        )
        for restore in restores
        if living[restore.addon_pk].deleted is None
    ]
    return sorted(rows, key=lambda row: -row.at)[:limit]


def _summary(findings: Sequence[dict[str, object]]) -> str:
    """The worst finding, or what was compared."""
    bad = [finding for finding in findings if finding["verdict"] != "passed"]
    chosen = bad or [finding for finding in findings if "holds what" in str(finding["name"])]
    return "; ".join(f"{finding['name']}: {finding['found']}" for finding in chosen[:2])
