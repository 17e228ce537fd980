"""Schedules: create, change, delete, one by one or all of an addon's at once.

Each verb takes the addon's lock first, as firing does: a change and a firing never see half of each
other. A change counts from its request, or from the last decision about the addon if that is later;
instants that were due before and not fired are recorded as missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.catalog import addons
from holdfast.catalog.database.session import lock_addon
from holdfast.catalog.schema import Addon, Schedule
from holdfast.catalog.work import occurrences, schedules
from holdfast.domain.backup import BackupType, Compression
from holdfast.domain.errors import Conflict, Invalid, NotFound
from holdfast.domain.schedules.firing import Due, missed
from holdfast.domain.schedules.schedule import (
    MOST_UNEXPIRED,
    Interval,
    Outcome,
    Scheduling,
    latest_due,
    most_kept,
    next_due,
)
from holdfast.kit import ids
from holdfast.usecases.context import Context
from holdfast.usecases.destinations import known_destination
from holdfast.usecases.forms.forms import ScheduleForm, SchedulePatch

_Columns = dict[str, Any]
"""The columns of a schedule that a caller chooses."""


@dataclass(frozen=True)
class _Reader:
    """Turns forms into columns; every error names its field below `path`."""

    context: Context
    addon: Addon
    path: str = ""

    def content(self, form: ScheduleForm) -> _Columns:
        # Sorted, so that equal rules are stored alike.
        when = form.scheduling
        arrays = (when.minute, when.hour or (), when.day or ())
        rule = Scheduling(when.interval, *(tuple(sorted(values)) for values in arrays))
        self.check_retention(rule, form.retention_time)
        dump = form.backup_type is BackupType.DUMP
        destination_pk = None
        if form.custom_destination_id is not None:
            path = f"{self.path}customDestinationId"
            destination_pk = known_destination(
                self.context, self.addon, form.custom_destination_id, path
            )
        return {
            "type": form.backup_type,
            "compression": (form.compression_type or Compression.GZ) if dump else None,
            "destination_pk": destination_pk,
            "additional": self._additional(form, rule),
            "interval": rule.interval,
            "minute": list(rule.minute),
            "hour": list(rule.hour),
            "day": list(rule.day),
            "retention": form.retention_time,
        }

    def _additional(self, form: ScheduleForm, rule: Scheduling) -> list[dict[str, int | None]]:
        copies: list[dict[str, int | None]] = []
        named: set[str] = set()
        for index, destination in enumerate(form.additional_destinations):
            path = f"additionalDestinations[{index}]"
            if destination.destination_id in named:
                raise self._wrong(f"{path}.destinationId", "is named twice")
            named.add(destination.destination_id)
            if destination.retention_time is not None:
                self.check_retention(rule, destination.retention_time, f"{path}.")
            field_path = f"{self.path}{path}.destinationId"
            pk = known_destination(self.context, self.addon, destination.destination_id, field_path)
            copies.append({"destination": pk, "retention": destination.retention_time})
        return copies

    def check_retention(self, rule: Scheduling, days: int, below: str = "") -> None:
        field, most = f"{below}retentionTime", self.context.services.caps[rule.interval]
        if days > most:
            raise self._wrong(field, f"is at most {most} days for {rule.interval} schedules")
        count = most_kept(rule, days)
        if count > MOST_UNEXPIRED:
            raise self._wrong(
                field,
                f"would keep {count} backups at a time; a schedule may keep {MOST_UNEXPIRED}",
            )

    def _wrong(self, field: str, problem: str) -> Invalid:
        path = f"{self.path}{field}"
        return Invalid(f"{path} {problem}", {path: problem})


def create(context: Context, addon: Addon, form: ScheduleForm) -> Schedule:
    lock_addon(context.session, addon.pk)
    content = _Reader(context, addon).content(form)
    living = schedules.of_addon(context.session, addon.pk)
    existing = _by_kind(living).get((form.backup_type, form.scheduling.interval))
    if existing is not None:
        problem = f"the addon has schedule {existing.id} already"
        raise Conflict(
            f"there is one {existing.interval} schedule for {existing.type} backups at most: "
            f"{problem}",
            {"scheduling.interval": problem, "id": existing.id},
        )
    return _add(context, addon, content, _moment(context, living))


def patch(context: Context, schedule: Schedule, form: SchedulePatch) -> None:
    """Changes the retention; backups taken before keep theirs."""
    _lock(context, schedule)
    addon = addons.get(context.session, schedule.addon_pk)
    _Reader(context, addon).check_retention(schedules.rule(schedule), form.retention_time)
    schedule.retention = form.retention_time
    schedule.updated = context.now


def pause(context: Context, schedule: Schedule, reason: str | None) -> None:
    """Fires nothing of the schedule until it is resumed. Instants that were due before are missed;
    a second pause changes the reason only."""
    _lock(context, schedule)
    if schedule.paused is None:
        moment = _moment(context, [schedule])
        _settle(context, schedule, moment, "the schedule was paused before it was fired")
        schedule.next_due = next_due(schedules.rule(schedule), moment)
        schedule.paused = context.now
    schedule.paused_by, schedule.paused_reason = context.caller.name, reason
    schedule.updated = context.now


def resume(context: Context, schedule: Schedule) -> None:
    """Fires the schedule from its next instant on; those of the pause are recorded as paused."""
    _lock(context, schedule)
    if schedule.paused is None:
        raise Conflict("the schedule is not paused")
    moment = _moment(context, [schedule])
    _settle(context, schedule, moment, "")
    schedule.next_due = next_due(schedules.rule(schedule), moment)
    schedule.paused = schedule.paused_by = schedule.paused_reason = None
    schedule.updated = context.now


def delete(context: Context, schedule: Schedule) -> None:
    """Deletes the schedule; its backups and occurrences stay."""
    _lock(context, schedule)
    _remove(context, schedule, _moment(context, [schedule]))


def replace_all(
    context: Context, addon: Addon, forms: Sequence[ScheduleForm], path: str = "backupSchedules"
) -> None:
    """Makes `forms` the addon's schedules; unchanged ones are left alone."""
    lock_addon(context.session, addon.pk)
    living = schedules.of_addon(context.session, addon.pk)
    old, moment = _by_kind(living), _moment(context, living)
    contents: dict[tuple[str, str], _Columns] = {}
    for index, form in enumerate(forms):
        location = f"{path}[{index}]"
        kind = (form.backup_type, form.scheduling.interval)
        if kind in contents:
            field = f"{location}.scheduling.interval"
            problem = f"there is one {kind[1]} schedule for {kind[0]} backups at most"
            raise Invalid(f"{field}: {problem}", {field: problem})
        contents[kind] = _Reader(context, addon, f"{location}.").content(form)
    for content in contents.values():
        existing = old.pop((content["type"], content["interval"]), None)
        if existing is None:
            _add(context, addon, content, moment)
        else:
            _change(context, existing, content, moment)
    for schedule in old.values():
        _remove(context, schedule, moment)


def delete_all(context: Context, addon: Addon) -> None:
    replace_all(context, addon, [])


def _by_kind(rows: Sequence[Schedule]) -> dict[tuple[str, str], Schedule]:
    return {(row.type, row.interval): row for row in rows}


def _lock(context: Context, schedule: Schedule) -> None:
    """Locks the addon; NotFound if the schedule was deleted while we waited for the lock."""
    lock_addon(context.session, schedule.addon_pk)
    context.session.refresh(schedule)
    if schedule.deleted is not None:
        raise NotFound(f"there is no backup schedule {schedule.id!r}")


def _moment(context: Context, living: Sequence[Schedule]) -> int:
    """The instant from which a change counts. While we waited for the lock, instants that lay ahead
    when the caller asked may have been decided.
    """
    decided = (occurrences.latest(context.session, schedule.pk) for schedule in living)
    return max(context.now, *decided, 0)


def _add(context: Context, addon: Addon, content: _Columns, moment: int) -> Schedule:
    schedule = Schedule(
        id=ids.hex24(),
        addon_pk=addon.pk,
        next_due=next_due(_rule_of(content), moment),
        created=context.now,
        updated=context.now,
        **content,
    )
    context.session.add(schedule)
    context.session.flush()
    return schedule


def _change(context: Context, schedule: Schedule, content: _Columns, moment: int) -> None:
    """Changes what differs. Decided occurrences stay; only a new rule sets the next one anew."""
    if all(getattr(schedule, name) == value for name, value in content.items()):
        return
    rule = _rule_of(content)
    if rule != schedules.rule(schedule):
        _settle(context, schedule, moment, "the schedule was changed before it was fired")
        schedule.next_due = next_due(rule, moment)
    for name, value in content.items():
        setattr(schedule, name, value)
    schedule.updated = context.now


def _rule_of(content: Mapping[str, Any]) -> Scheduling:
    arrays = (tuple(content[name]) for name in ("minute", "hour", "day"))
    return Scheduling(Interval(content["interval"]), *arrays)


def _remove(context: Context, schedule: Schedule, moment: int) -> None:
    _settle(context, schedule, moment, "the schedule was deleted before it was fired")
    schedule.deleted = context.now
    context.session.flush()


def _settle(context: Context, schedule: Schedule, moment: int, reason: str) -> None:
    """Records due instants that will no longer be fired as missed, or as paused."""
    rule = schedules.rule(schedule)
    last = latest_due(rule, moment)
    if last < schedule.next_due or occurrences.at(context.session, schedule.pk, last):
        return
    decision = missed(Due(schedule.pk, rule, schedule.next_due, None), last, reason)
    if schedule.paused is not None:
        reason = f"{schedule.paused_by} had paused the schedule"
        decision = replace(decision, outcome=Outcome.PAUSED, reason=reason)
    context.session.add(occurrences.row(decision, context.now))
