"""Compares what is wrong now with the open alarms, and writes the difference with its messages.

What is wrong is judged from the rows of protection and of observations, from the channels, and from
what the caller watched itself: whether workers and schedulers live.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.catalog import destinations, objectives, projects, protected_rows
from holdfast.catalog.alarms import alarms, channels, monitors, observations
from holdfast.catalog.alarms.observations import Observation
from holdfast.catalog.database.session import Catalog, ReadSession, WriteSession
from holdfast.catalog.schema import AlarmRow
from holdfast.catalog.storage import deletions
from holdfast.catalog.work import measured, workers
from holdfast.domain.alarms.messages import Event
from holdfast.domain.alarms.rules import (
    FRESH_MS,
    MAX_NAMED,
    Changes,
    Kind,
    Open,
    Symptom,
    cause_of,
    changes,
    is_young,
    symptoms_of_addon,
)
from holdfast.domain.operation import DRILL_LANE
from holdfast.usecases.alarms import outbox

log = logging.getLogger(__name__)

PLATFORM = "platform"
OBSERVED_PROTECTION = "protection rows"
_KINDS = {
    "store": Kind.STORE,
    "disk": Kind.DISK,
    "clock": Kind.CLOCK,
    "key": Kind.MASTER_KEY,
    "protection": Kind.PROTECTION,
}
"""By the first word of an observation's name; the second is the source."""

INSTALLATION = "installation"
"""The source of what there is one of."""


@dataclass
class Judgement:
    """What is wrong, and the causes that were seen to be over."""

    symptoms: list[Symptom] = field(default_factory=list[Symptom])
    over: set[str] = field(default_factory=set[str])


def evaluate(catalog: Catalog, lives: Mapping[Kind, str | None], now: int) -> None:
    """`lives`: what is wrong with workers and with schedulers, None: nothing; a kind that is not
    there is not known. Reads first, and writes only what differs."""
    with catalog.read() as session:
        if not compare(session, lives, now) and not outbox.is_digest_due(session, now):
            return
    with catalog.write() as session:
        if alarms.take_turn(session):
            apply(session, compare(session, lives, now), now)
            outbox.send_digests(session, now)


def compare(session: ReadSession, lives: Mapping[Kind, str | None], now: int) -> Changes:
    open_alarms = alarms.open_alarms(session)
    judgement = Judgement()
    judgement.symptoms += addon_symptoms(session, now)
    judgement.symptoms += channel_symptoms(session)
    judgement.symptoms += monitor_symptoms(session)
    judgement.symptoms += drill_symptoms(session, now)
    judgement.symptoms += hold_symptoms(session)
    judge_observations(session, judgement, now)
    judge_lives(judgement, lives, now)
    judgement.over |= causes_of_removed_stores(session, open_alarms)
    return changes(judgement.symptoms, judgement.over, open_alarms, now)


def apply(session: WriteSession, difference: Changes, now: int) -> None:
    """Opens, closes and rewords alarms, and writes the messages about that into the outbox."""
    opened = alarms.add(session, difference.opened, now)
    closed = alarms.by_pk(session, difference.closed)
    for row in closed:
        row.closed = row.updated = now
        row.closed_by = alarms.BY_ITSELF
    for row in alarms.by_pk(session, difference.reworded.keys()):
        row.reason, row.updated = difference.reworded[row.pk], now
    awake = alarms.by_pk(session, difference.awake)
    for row in awake:
        row.snoozed_until = None
    for event, rows in (
        (Event.OPENED, opened),
        (Event.REMINDED, awake),
        (Event.CLOSED, closed),
    ):
        if rows:
            outbox.send(session, event, rows, now)
            _tell_log(event, rows)


def _tell_log(event: Event, rows: Sequence[AlarmRow]) -> None:
    """So that an installation without a channel is not silent; of a storm it shows some."""
    level = logging.INFO if event is Event.CLOSED else logging.WARNING
    for row in rows[:MAX_NAMED]:
        extra = {"alarm": row.id, "kind": row.kind, "of": row.subject, "reason": row.reason}
        log.log(level, event, extra=extra)
    if len(rows) > MAX_NAMED:
        log.log(level, event, extra={"more": len(rows) - MAX_NAMED})


def addon_symptoms(session: ReadSession, now: int) -> Iterator[Symptom]:
    """What is wrong with addons, judged from one row each."""
    names, chosen = projects.living_ids(session), objectives.of_all(session)
    for row in protected_rows.rows_of(session, None):
        project = names.get(row.project_pk)
        if project is None:
            continue
        objective = objectives.effective(chosen, row.project_pk, row.addon_pk)
        for kind, (reason, since) in symptoms_of_addon(row.facts, objective, now).items():
            yield Symptom(
                kind,
                str(row.addon_pk),
                f"{project}/{row.id}",
                reason,
                since,
                row.project_pk,
                row.addon_pk,
                young=is_young(kind, since, now),
            )


def channel_symptoms(session: ReadSession) -> Iterator[Symptom]:
    """Channels that fail repeatedly."""
    for row in channels.living(session):
        if channels.is_failing(row):
            reason = f"{row.failures} failures in a row, the last one: {row.problem or 'unknown'}"
            subject, since = f"channel {row.id}", row.failing or row.updated
            yield Symptom(Kind.CHANNEL, str(row.pk), subject, reason, since)


def monitor_symptoms(session: ReadSession) -> Iterator[Symptom]:
    """Monitors that are late or whose last ping said that something failed."""
    for row in monitors.down(session):
        subject, since = f"monitor {row.id}", row.since or row.updated
        yield Symptom(Kind.MONITOR, str(row.pk), subject, row.problem or "unknown", since)


def drill_symptoms(session: ReadSession, now: int) -> Iterator[Symptom]:
    """Drills that wait where no worker takes any; without workers that is said already."""
    for lane, count, oldest in measured.waiting_by_lane(session):
        if lane == DRILL_LANE and workers.beats(session):
            reason = workers.why_no_drills(session)
            if reason is not None:
                kind, young = Kind.DRILLS_WAIT, is_young(Kind.DRILLS_WAIT, oldest, now)
                reason = f"{count} wait; {reason}"
                yield Symptom(kind, INSTALLATION, "this installation", reason, oldest, young=young)


def hold_symptoms(session: ReadSession) -> Iterator[Symptom]:
    """Retention that is held: on purpose, and easily forgotten."""
    row = deletions.hold(session)
    if row.placed is not None:
        reason = f"{row.placed_by} holds it: {row.reason}"
        kind, subject = Kind.RETENTION_HELD, "this installation"
        yield Symptom(kind, INSTALLATION, subject, reason, row.placed)


def judge_observations(session: ReadSession, judgement: Judgement, now: int) -> None:
    """Of several observers of one thing, one with a problem is enough."""
    fresh: dict[str, list[Observation]] = defaultdict(list)
    for observation in observations.current(session):
        word = observation.name.partition(" ")[0]
        if word in _KINDS and abs(now - observation.seen) <= FRESH_MS:
            fresh[observation.name].append(observation)
    stores = {row.pk: row.id for row in destinations.living(session)}
    for name, observed in fresh.items():
        word, _, source = name.partition(" ")
        if word == "store" and source != PLATFORM and int(source) not in stores:
            continue  # it was removed since
        bad = [observation for observation in observed if observation.problem is not None]
        if bad:
            match word:
                case "store":
                    is_platform = source == PLATFORM
                    subject = (
                        "the platform store" if is_platform else f"store {stores[int(source)]}"
                    )
                case "disk":
                    subject = f"the disk of {source}"
                case "protection":
                    subject = "the protection of addons"
                case _:
                    subject = f"host {source}"
            since = min(observation.since for observation in bad)
            kind, reason = _KINDS[word], bad[0].problem or ""
            judgement.symptoms.append(Symptom(kind, source, subject, reason, since))
        else:
            judgement.over.add(cause_of(_KINDS[word], source))


def judge_lives(judgement: Judgement, lives: Mapping[Kind, str | None], now: int) -> None:
    """Whether workers and schedulers live, as far as that is known."""
    for kind, problem in lives.items():
        if problem is None:
            judgement.over.add(cause_of(kind, INSTALLATION))
        else:
            subject = "this installation"
            judgement.symptoms.append(Symptom(kind, INSTALLATION, subject, problem, now))


def causes_of_removed_stores(session: ReadSession, open_alarms: list[Open]) -> set[str]:
    """Causes of open alarms about stores that are not there any more."""
    sources = {PLATFORM, *(str(row.pk) for row in destinations.living(session))}
    causes = {cause_of(Kind.STORE, source) for source in sources}
    return {
        alarm.cause
        for alarm in open_alarms
        if alarm.kind is Kind.STORE and alarm.cause not in causes
    }
