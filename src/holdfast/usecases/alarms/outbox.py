"""Writes messages about alarms into the outbox, for every channel whose filters match."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from holdfast.catalog import objectives, protected_rows
from holdfast.catalog.alarms import alarms, channels, deliveries
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import AlarmRow, ChannelRow
from holdfast.domain.alarms.messages import MAX_ALARMS, Event
from holdfast.domain.alarms.rules import (
    GATHER_MS,
    RULES,
    STORM_MS,
    Digest,
    Kind,
    Pace,
    next_digest,
    pace,
)
from holdfast.domain.protection import judge
from holdfast.kit.clock import rfc3339, rfc3339_if

Document = dict[str, Any]


def document(row: AlarmRow) -> Document:
    """An alarm as messages have it; without nulls."""
    fields = {
        "id": row.id,
        "kind": row.kind,
        "severity": row.severity,
        "subject": row.subject,
        "reason": row.reason,
        "remedy": RULES[Kind(row.kind)].remedy,
        "since": rfc3339(row.since),
        "openedAt": rfc3339(row.opened),
        "closedAt": rfc3339_if(row.closed),
    }
    return {name: value for name, value in fields.items() if value is not None}


def send(session: WriteSession, event: Event, rows: Sequence[AlarmRow], now: int) -> None:
    """Tells each channel of the alarms that it gets: one by one, or many of a kind together."""
    for channel in channels.of_alarms(session):
        if event is Event.CLOSED and not channel.resolved:
            continue
        filters, by_kind = channels.filters(channel), defaultdict[str, list[AlarmRow]](list)
        for row in rows:
            # Of an alarm that is older than the channel it heard nothing, so neither of its end.
            unknown = event is Event.CLOSED and row.opened < channel.created
            if not unknown and filters.match(Kind(row.kind), row.source, row.project_pk):
                by_kind[row.kind].append(row)
        for kind, alarms_of_kind in by_kind.items():
            _send_kind(
                session, channel, event, kind, [document(row) for row in alarms_of_kind], now
            )


def _send_kind(
    session: WriteSession,
    channel: ChannelRow,
    event: Event,
    kind: str,
    documents: Sequence[Document],
    now: int,
) -> None:
    waiting = deliveries.gathering(session, channel.pk, event, kind, now)
    if waiting is not None:
        before: list[Document] = waiting.body["alarms"]
        waiting.body = _body([*before, *documents], waiting.body["count"] + len(documents))
        return
    recent = deliveries.recent(session, channel.pk, event, kind, now - STORM_MS)
    # No end before its beginning: a pager would resolve what is not there, and open it for ever.
    gathers = deliveries.gathering(session, channel.pk, Event.OPENED, kind, now) is not None
    match Pace.LATER if gathers else pace(len(documents), recent):
        case Pace.SINGLY:
            for one in documents:
                deliveries.add(session, channel.pk, event, _body([one], 1), now, kind=kind)
        case Pace.TOGETHER:
            body = _body(documents, len(documents))
            deliveries.add(session, channel.pk, event, body, now, kind=kind)
        case Pace.LATER:
            body, delay = _body(documents, len(documents)), GATHER_MS
            deliveries.add(session, channel.pk, event, body, now, kind=kind, delay_ms=delay)


def _body(documents: Sequence[Document], count: int) -> Document:
    return {"alarms": list(documents[:MAX_ALARMS]), "count": count}


def is_digest_due(session: ReadSession, now: int) -> bool:
    return any(_is_due(channel, now) for channel in channels.of_alarms(session))


def _is_due(channel: ChannelRow, now: int) -> bool:
    due = channel.digest_due
    if channel.digest is None or due is None:
        return False
    # Further away than its period: left by a clock that was ahead.
    return due <= now or due > next_digest(Digest(channel.digest), now)


def send_digests(session: WriteSession, now: int) -> None:
    """Sends the digests that are due, and decides when the next ones are."""
    due = [channel for channel in channels.of_alarms(session) if _is_due(channel, now)]
    chosen = objectives.of_all(session)
    for channel in due:
        filters, rows = channels.filters(channel), protected_rows.rows_of(session, channel.projects)
        goals = [objectives.effective(chosen, row.project_pk, row.addon_pk) for row in rows]
        states = Counter(
            str(judge(row.facts, goal, now).state) for row, goal in zip(rows, goals, strict=True)
        )
        listed = [
            document(row)
            for row in alarms.worst(session, MAX_ALARMS)
            if filters.match(Kind(row.kind), row.source, row.project_pk)
        ]
        digest = {"states": dict(states), **_body(listed, len(listed))}
        deliveries.add(session, channel.pk, Event.DIGEST, digest, now)
        channel.digest_due = next_digest(Digest(channel.digest or Digest.DAILY), now)
