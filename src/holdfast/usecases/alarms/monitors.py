"""Monitors: add, patch, renew, remove, and what becomes of a ping."""

from holdfast.catalog.alarms import monitors
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import MonitorRow
from holdfast.domain.alarms.monitors import MAX_MONITORS, Condition, Ping, Signal
from holdfast.domain.errors import Conflict
from holdfast.domain.naming import name_taken, slug
from holdfast.kit import ids
from holdfast.kit.redact import redact
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context
from holdfast.usecases.forms.alarms import MonitorForm, MonitorPatch


def add(context: Context, form: MonitorForm) -> tuple[MonitorRow, Secret]:
    """The monitor, and its key, of which only the digest is kept."""
    identifier = slug(form.name)
    if monitors.find(context.session, identifier) is not None:
        raise name_taken("a monitor", identifier)
    if monitors.count(context.session) >= MAX_MONITORS:
        raise Conflict(f"there are {MAX_MONITORS} monitors, and there can be no more")
    key = Secret(ids.ping_key())
    row = MonitorRow(
        id=identifier,
        name=form.name,
        digest=monitors.digest(key),
        every_ms=1000 * form.every_seconds,
        grace_ms=1000 * form.grace_seconds,
        condition=Condition.NEW,
        ends=0,
        starts=0,
        watched_ms=0,
        created=context.now,
        updated=context.now,
    )
    context.session.add(row)
    context.session.flush()
    return row, key


def patch(context: Context, row: MonitorRow, form: MonitorPatch) -> None:
    """Changes the fields that were sent; the id stays. It is waited for anew when times change."""
    if form.name is not None:
        row.name = form.name
    every, grace = row.every_ms, row.grace_ms
    if form.every_seconds is not None:
        row.every_ms = 1000 * form.every_seconds
    if form.grace_seconds is not None:
        row.grace_ms = 1000 * form.grace_seconds
    if (every, grace) != (row.every_ms, row.grace_ms):
        _wait_anew(row)
        if row.condition == Condition.LATE:
            row.condition = Condition.NEW if row.succeeded is None else Condition.UP
            row.problem = row.since = row.started = None
    row.updated = context.now


def _wait_anew(row: MonitorRow) -> None:
    row.ends += 1
    row.watched_ms = 0


def renew(context: Context, row: MonitorRow) -> Secret:
    """Another key; the old one is none from now on."""
    key = Secret(ids.ping_key())
    row.digest, row.updated = monitors.digest(key), context.now
    return key


def remove(context: Context, row: MonitorRow) -> None:
    """Its alarm closes, because its cause is gone."""
    context.session.delete(row)


def note_ping(session: WriteSession, key: Secret, ping: Ping, now: int) -> bool:
    """Notes a ping; False: there is no monitor of that key."""
    row = monitors.by_key(session, key)
    if row is None:
        return False
    row.pinged, row.signal, row.said = now, ping.signal, redact(ping.text) or None
    match ping.signal:
        case Signal.LOG:
            pass
        case Signal.START:
            row.starts += 1
            row.started = now
        case Signal.SUCCESS:
            _end(row, now)
            row.succeeded, row.condition = now, Condition.UP
            row.problem = row.since = None
        case Signal.FAIL:
            _end(row, now)
            if row.condition != Condition.FAILED:
                row.since = now
            row.condition, row.problem = Condition.FAILED, redact(ping.problem)
    return True


def _end(row: MonitorRow, now: int) -> None:
    _wait_anew(row)
    row.ended, row.started = now, None
