"""What people do about alarms: acknowledge, snooze, close."""

from holdfast.catalog.schema import AlarmRow
from holdfast.domain.alarms.messages import Event
from holdfast.domain.errors import Conflict
from holdfast.domain.units import MINUTE_MS
from holdfast.usecases.alarms import outbox
from holdfast.usecases.context import Context


def acknowledge(context: Context, alarm: AlarmRow) -> None:
    """Says that the caller takes care of it: no digest has it any more, but its end is sent.

    Acknowledging it again changes nothing.
    """
    _require_open(alarm)
    if alarm.acknowledged is None:
        alarm.acknowledged, alarm.acknowledged_by = context.now, context.caller.name


def snooze(context: Context, alarm: AlarmRow, minutes: int) -> None:
    """Sends it again after so many minutes, if it is still open then."""
    _require_open(alarm)
    alarm.snoozed_until = context.now + minutes * MINUTE_MS


def close(context: Context, alarm: AlarmRow) -> None:
    """Ends it by hand; it is opened again within seconds if its cause is still there."""
    _require_open(alarm)
    alarm.closed = alarm.updated = context.now
    alarm.closed_by = context.caller.name
    outbox.send(context.session, Event.CLOSED, [alarm], context.now)


def _require_open(alarm: AlarmRow) -> None:
    if alarm.closed is not None:
        raise Conflict("the alarm is closed: there is nothing left to do about it")
