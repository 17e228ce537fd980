"""The outbox: a row for each message to each channel, and one for each attempt to send it.

All instants are the database's, and those that a wrong clock left in the future count as past.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Update, and_, delete, func, or_, select, update

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession, database_now
from holdfast.catalog.schema import AttemptRow, ChannelRow, DeliveryRow
from holdfast.domain.alarms.delivery import gives_up, retry_ms
from holdfast.domain.alarms.messages import Event
from holdfast.domain.alarms.rules import GATHER_MS
from holdfast.domain.units import HOUR_MS
from holdfast.kit import ids

LEASE_MS = 120_000
"""How long a claim lasts: longer than any channel takes."""
_LONGEST_ANSWER = 1_000

_WAITING = and_(DeliveryRow.sent.is_(None), DeliveryRow.given_up.is_(None))


def add(
    session: WriteSession,
    channel_pk: int,
    event: str,
    body: Mapping[str, Any],
    now: int,
    *,
    kind: str | None = None,
    delay_ms: int = 0,
) -> DeliveryRow:
    """Writes a message into the outbox, as part of the caller's transaction."""
    row = DeliveryRow(
        id=ids.hex24(),
        channel_pk=channel_pk,
        event=event,
        kind=kind,
        body=dict(body),
        created=now,
        due=now + delay_ms if delay_ms else 0,  # at once, whatever the caller's clock says
        fence=0,
        tries=0,
    )
    session.add(row)
    session.flush()
    return row


def recent(session: ReadSession, channel_pk: int, event: str, kind: str, since: int) -> int:
    """Messages of a kind that a channel got since that instant."""
    rows = select(func.count()).where(
        DeliveryRow.channel_pk == channel_pk,
        DeliveryRow.created >= since,
        DeliveryRow.event == event,
        DeliveryRow.kind == kind,
    )
    return session.scalar(rows) or 0


def gathering(
    session: WriteSession, channel_pk: int, event: str, kind: str, now: int
) -> DeliveryRow | None:
    """A message that waits for others of its kind and that no process sends yet, locked."""
    rows = select(DeliveryRow).where(
        _WAITING,
        DeliveryRow.channel_pk == channel_pk,
        DeliveryRow.event == event,
        DeliveryRow.kind == kind,
        DeliveryRow.fence == 0,
        DeliveryRow.due > now,
    )
    return session.scalars(rows.limit(1).with_for_update()).first()


@dataclass(frozen=True)
class Claim:
    """A delivery that this process sends. `fence` tells it from later claims."""

    pk: int
    channel_pk: int
    fence: int
    id: str
    event: str
    body: Mapping[str, Any]
    created: int
    tries: int


def due(session: ReadSession) -> dict[int, int]:
    """By channel its oldest delivery that is due; none of a channel that waits after a failure, or
    of which one is being sent."""
    now = database_now()
    busy = select(DeliveryRow.channel_pk).where(
        _WAITING, DeliveryRow.claimed > now, DeliveryRow.claimed <= now + LEASE_MS
    )
    rests = and_(ChannelRow.next_try > now, ChannelRow.next_try <= now + HOUR_MS)
    waits = and_(DeliveryRow.due > now, DeliveryRow.due <= now + 2 * GATHER_MS)
    rows = (
        select(DeliveryRow.channel_pk, func.min(DeliveryRow.pk))
        .join(ChannelRow, ChannelRow.pk == DeliveryRow.channel_pk)
        .where(
            _WAITING,
            ~waits,
            or_(ChannelRow.next_try.is_(None), ~rests),
            DeliveryRow.channel_pk.not_in(busy),
        )
        .group_by(DeliveryRow.channel_pk)
    )
    return dict(session.execute(rows).all())


def claim(session: WriteSession, pk: int) -> Claim | None:
    """Takes it for `LEASE_MS`; None: another process was faster."""
    row = session.get(DeliveryRow, pk)
    if row is None:
        return None
    now = database_now()
    free = or_(
        DeliveryRow.claimed.is_(None),
        DeliveryRow.claimed <= now,
        DeliveryRow.claimed > now + LEASE_MS,
    )
    mine = update(DeliveryRow).where(
        DeliveryRow.pk == pk, DeliveryRow.fence == row.fence, _WAITING, free
    )
    values = {"claimed": now + LEASE_MS, "fence": row.fence + 1, "tries": row.tries + 1}
    if not _changed(session, mine.values(values)):
        return None
    return Claim(
        pk,
        row.channel_pk,
        row.fence + 1,
        row.id,
        row.event,
        row.body,
        row.created,
        row.tries + 1,
    )


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `refused`: the other side will never take it."""

    ok: bool
    answer: str
    took_ms: int
    refused: bool = False


def settle(session: WriteSession, claim: Claim, outcome: Outcome, now: int) -> None:
    """Notes an attempt. A success counts, also if the claim is another's by now: it was sent."""
    session.add(
        AttemptRow(
            delivery_pk=claim.pk,
            at=now,
            took_ms=outcome.took_ms,
            ok=outcome.ok,
            answer=outcome.answer[:_LONGEST_ANSWER],
        )
    )
    row = update(DeliveryRow).where(DeliveryRow.pk == claim.pk, _WAITING)
    if outcome.ok:
        _changed(session, row.values(sent=now, claimed=None))
    elif claim.event == Event.TEST or gives_up(
        now - claim.created, claim.tries, refused=outcome.refused
    ):
        _changed(session, row.where(DeliveryRow.fence == claim.fence).values(given_up=now))
    else:
        _changed(session, row.where(DeliveryRow.fence == claim.fence).values(claimed=None))
    channel = session.get_one(ChannelRow, claim.channel_pk, with_for_update=True)
    if outcome.ok:
        channel.failures, channel.failing, channel.next_try = 0, None, None
        channel.problem, channel.delivered = None, now
        return
    channel.failures += 1
    channel.failing = channel.failing or now
    channel.next_try = now + retry_ms(channel.failures)
    channel.problem = outcome.answer[:_LONGEST_ANSWER]


def drop_waiting(session: WriteSession, channel_pk: int, now: int) -> None:
    """Gives up what waits for a channel that is removed."""
    waiting = update(DeliveryRow).where(DeliveryRow.channel_pk == channel_pk, _WAITING)
    _changed(session, waiting.values(given_up=now))


def resend(session: WriteSession, row: DeliveryRow, now: int) -> None:
    """Sends it again, under its own id, to be tried at once."""
    row.sent = row.given_up = row.claimed = None
    row.tries, row.due, row.created = 0, 0, now
    channel = session.get_one(ChannelRow, row.channel_pk)
    channel.next_try = None


def find(session: ReadSession, identifier: str) -> DeliveryRow | None:
    return session.scalar(select(DeliveryRow).where(DeliveryRow.id == identifier))


def listed(
    session: ReadSession, channel_pks: Sequence[int], page: Page, *, waiting: bool | None
) -> Slice[DeliveryRow]:
    """Those to these channels, the newest first. `waiting`: only those that were not sent yet."""
    rows = select(DeliveryRow).where(DeliveryRow.channel_pk.in_(channel_pks))
    if waiting is not None:
        rows = rows.where(_WAITING if waiting else ~_WAITING)
    return take(session, rows, DeliveryRow.pk, page, "deliveries")


def attempts_of(session: ReadSession, pks: Sequence[int]) -> dict[int, list[AttemptRow]]:
    """By delivery its attempts, the oldest first."""
    rows = select(AttemptRow).where(AttemptRow.delivery_pk.in_(pks)).order_by(AttemptRow.pk)
    by_delivery: dict[int, list[AttemptRow]] = {}
    for row in session.scalars(rows):
        by_delivery.setdefault(row.delivery_pk, []).append(row)
    return by_delivery


def forget(session: WriteSession, before: int, limit: int) -> int:
    """Removes deliveries that are over and their attempts, a few at a time; returns how many."""
    worn = select(DeliveryRow.pk).where(DeliveryRow.created < before, ~_WAITING)
    pks = list(session.scalars(worn.order_by(DeliveryRow.created).limit(limit)))
    for statement in (
        delete(AttemptRow).where(AttemptRow.delivery_pk.in_(pks)),
        delete(DeliveryRow).where(DeliveryRow.pk.in_(pks)),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    return len(pks)


def _changed(session: WriteSession, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1


def waiting_by_channel(session: ReadSession) -> list[tuple[str, int, int, int | None]]:
    """Of each living channel its id, failures in a row, waiting deliveries, and when the oldest of
    these was made."""
    counted = (
        select(
            ChannelRow.id,
            ChannelRow.failures,
            func.count(DeliveryRow.pk),
            func.min(DeliveryRow.created),
        )
        .outerjoin(
            DeliveryRow,
            and_(
                DeliveryRow.channel_pk == ChannelRow.pk,
                DeliveryRow.sent.is_(None),
                DeliveryRow.given_up.is_(None),
            ),
        )
        .where(ChannelRow.deleted.is_(None))
        .group_by(ChannelRow.pk)
        .order_by(ChannelRow.pk)
    )
    return [
        (channel, failures, waiting, oldest)
        for channel, failures, waiting, oldest in session.execute(counted)
    ]
