"""Explains in one sentence why an instant of a schedule did or did not run."""

from collections.abc import Sequence

from holdfast.catalog import backups
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Backup, Occurrence, Schedule
from holdfast.catalog.work import occurrences
from holdfast.catalog.work import schedules as rows
from holdfast.domain.schedules.schedule import Outcome, Scheduling, is_due, latest_due, next_due
from holdfast.domain.units import show_span
from holdfast.kit.clock import rfc3339
from holdfast.views import schedules as views
from holdfast.views.shapes.schedules import Companion, Explanation


def explain(session: ReadSession, schedule: Schedule, at: int, now: int) -> Explanation:
    """Explains an instant. A recorded decision comes first, as the rule may have changed since."""
    rule = rows.rule(schedule)
    decided = occurrences.at(session, schedule.pk, at)
    if decided is not None and (decided.instant == at or is_due(rule, at)):
        backup = backups.get(session, decided.backup_pk) if decided.backup_pk else None
        companions: list[Companion] = []
        sentence = f"It was {decided.outcome}: {decided.reason}."
        if backup is not None and decided.outcome == Outcome.FIRED:
            companions = [
                Companion(id=cause["id"], interval=cause["interval"])
                for cause in backup.schedules or ()
                if cause["id"] != schedule.id
            ]
            sentence = _describe_run(decided, backup, companions)
        return Explanation(
            at=rfc3339(at),
            outcome=decided.outcome,
            sentence=sentence,
            occurrence=views.occurrence(decided, backup),
            merged_with=companions or None,
        )
    outside = _outside(schedule, at)
    if outside is None and not is_due(rule, at):
        return _not_an_instant(schedule, rule, at)
    outcome, sentence = outside or _undecided(schedule, at, now)
    return Explanation(at=rfc3339(at), outcome=outcome, sentence=sentence)


def _describe_run(decided: Occurrence, backup: Backup, companions: Sequence[Companion]) -> str:
    delay = show_span(max(0, decided.decided - decided.instant))
    schedules = " and ".join(f"the {companion.interval} schedule" for companion in companions)
    together = f", together with {schedules}" if companions else ""
    reason = f" ({backup.reason})" if backup.reason else ""
    deletion = (
        f"; it was deleted at {rfc3339(backup.deleted)}" if backup.deleted is not None else ""
    )
    fate = f"backup {backup.id} is {backup.status}{reason}{deletion}"
    return f"It ran {delay} after it was due{together}: {fate}."


def _outside(schedule: Schedule, at: int) -> tuple[str, str] | None:
    """Explains an instant before the schedule was created or after it was deleted."""
    if at <= schedule.created:
        return (
            "before",
            f"The schedule did not exist yet: it was created at {rfc3339(schedule.created)}.",
        )
    if schedule.deleted is not None and at >= schedule.deleted:
        return "after", f"The schedule was deleted at {rfc3339(schedule.deleted)}."
    return None


def _not_an_instant(schedule: Schedule, rule: Scheduling, at: int) -> Explanation:
    earlier, later = latest_due(rule, at), next_due(rule, at)
    before = rfc3339(earlier) if earlier > schedule.created else None
    after = rfc3339(later) if schedule.deleted is None or later < schedule.deleted else None
    near = " and ".join(instant for instant in (before, after) if instant)
    return Explanation(
        at=rfc3339(at),
        outcome="not-due",
        sentence="The schedule is not due then"
        + (f"; nearest: {near}." if near else ", nor at any other time of its life."),
        before=before,
        after=after,
    )


def _undecided(schedule: Schedule, at: int, now: int) -> tuple[str, str]:
    if schedule.paused is not None and at >= schedule.paused:
        reason = f": {schedule.paused_reason}" if schedule.paused_reason else ""
        since = rfc3339(schedule.paused)
        return "paused", f"{schedule.paused_by} paused the schedule at {since}{reason}."
    if at > now:
        return "not-yet", f"It is due in {show_span(at - now)}."
    if at >= schedule.next_due and schedule.deleted is None:
        waits = show_span(now - at)
        return (
            "waiting",
            f"It is due since {waits} and no scheduler has taken it up: is one running?",
        )
    return (
        "unknown",
        "Nothing is recorded about it: the schedule was changed at"
        f" {rfc3339(schedule.updated)}, or the record was too old to be kept.",
    )
