"""Schedules: create, change, delete, one by one or all of an addon's at once.

Each verb takes the addon's lock first, as whoever fires an occurrence does: a change and a firing
never see half of each other. A change counts from the moment it is asked for, or from the last
decision about the addon if that is later; what was due before and not fired is recorded as missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    Scheduling,
    latest_due,
    most_kept,
    next_due,
)
from holdfast.kit import ids
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import ScheduleForm, SchedulePatch
from holdfast.usecases.places import known_destination

_Content = dict[str, Any]
"""The columns that a caller chooses."""


@dataclass(frozen=True)
class _Reader:
    """Reads forms; every complaint names its field below `path`."""

    context: Context
    addon: Addon
    path: str = ""

    def content(self, form: ScheduleForm) -> _Content:
        rule = _rule(form)
        self.check_retention(rule, form.retention_time)
        dump = form.backup_type is BackupType.DUMP
        return {
            "type": form.backup_type,
            "compression": (form.compression_type or Compression.GZ) if dump else None,
            "destination_pk": self._first(form),
            "additional": self._additional(form, rule),
            "interval": rule.interval,
            "minute": list(rule.minute),
            "hour": list(rule.hour),
            "day": list(rule.day),
            "retention": form.retention_time,
        }

    def _first(self, form: ScheduleForm) -> int | None:
        if form.custom_destination_id is None:
            return None
        path = f"{self.path}customDestinationId"
        return known_destination(self.context, self.addon, form.custom_destination_id, path)

    def _additional(self, form: ScheduleForm, rule: Scheduling) -> list[dict[str, int | None]]:
        found: list[dict[str, int | None]] = []
        named: set[str] = set()
        for index, each in enumerate(form.additional_destinations):
            path = f"additionalDestinations[{index}]"
            if each.destination_id in named:
                raise self._wrong(f"{path}.destinationId", "is named twice")
            named.add(each.destination_id)
            if each.retention_time is not None:
                self.check_retention(rule, each.retention_time, f"{path}.")
            where = f"{self.path}{path}.destinationId"
            pk = known_destination(self.context, self.addon, each.destination_id, where)
            found.append({"destination": pk, "retention": each.retention_time})
        return found

    def check_retention(self, rule: Scheduling, days: int, below: str = "") -> None:
        field, most = f"{below}retentionTime", self.context.services.caps[rule.interval]
        if days > most:
            raise self._wrong(field, f"is at most {most} days for {rule.interval} schedules")
        held = most_kept(rule, days)
        if held > MOST_UNEXPIRED:
            raise self._wrong(
                field,
                f"would keep {held} backups at a time; a schedule may keep {MOST_UNEXPIRED}",
            )

    def _wrong(self, field: str, problem: str) -> Invalid:
        path = f"{self.path}{field}"
        return Invalid(f"{path} {problem}", {path: problem})


def _rule(form: ScheduleForm) -> Scheduling:
    """Sorted, so that equal rules are stored alike."""
    when = form.scheduling
    arrays = (when.minute, when.hour or (), when.day or ())
    return Scheduling(when.interval, *(tuple(sorted(values)) for values in arrays))


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
    """Backups that were taken keep the retention they were taken with."""
    _lock(context, schedule)
    addon = addons.get(context.session, schedule.addon_pk)
    _Reader(context, addon).check_retention(schedules.rule(schedule), form.retention_time)
    schedule.retention = form.retention_time
    schedule.updated = context.now


def delete(context: Context, schedule: Schedule) -> None:
    """Its backups and what is known of its occurrences stay."""
    _lock(context, schedule)
    _remove(context, schedule, _moment(context, [schedule]))


def replace_all(
    context: Context, addon: Addon, forms: Sequence[ScheduleForm], path: str = "backupSchedules"
) -> None:
    """Makes the addon's schedules be those of `forms`; what is so already is left alone."""
    lock_addon(context.session, addon.pk)
    living = schedules.of_addon(context.session, addon.pk)
    old, moment = _by_kind(living), _moment(context, living)
    for content in _distinct(context, addon, forms, path):
        existing = old.pop((content["type"], content["interval"]), None)
        if existing is None:
            _add(context, addon, content, moment)
        else:
            _change(context, existing, content, moment)
    for schedule in old.values():
        _remove(context, schedule, moment)


def delete_all(context: Context, addon: Addon) -> None:
    replace_all(context, addon, [])


def _distinct(
    context: Context, addon: Addon, forms: Sequence[ScheduleForm], path: str
) -> list[_Content]:
    found: dict[tuple[str, str], _Content] = {}
    for index, form in enumerate(forms):
        where = f"{path}[{index}]"
        kind = (form.backup_type, form.scheduling.interval)
        if kind in found:
            field = f"{where}.scheduling.interval"
            problem = f"there is one {kind[1]} schedule for {kind[0]} backups at most"
            raise Invalid(f"{field}: {problem}", {field: problem})
        found[kind] = _Reader(context, addon, f"{where}.").content(form)
    return list(found.values())


def _by_kind(rows: Sequence[Schedule]) -> dict[tuple[str, str], Schedule]:
    return {(row.type, row.interval): row for row in rows}


def _lock(context: Context, schedule: Schedule) -> None:
    """Somebody else may have deleted it while we waited."""
    lock_addon(context.session, schedule.addon_pk)
    context.session.refresh(schedule)
    if schedule.deleted is not None:
        raise NotFound(f"there is no backup schedule {schedule.id!r}")


def _moment(context: Context, living: Sequence[Schedule]) -> int:
    """From when on a change counts. While we waited for the lock, somebody may have decided about
    instants that were still to come when the caller asked.
    """
    decided = (occurrences.latest(context.session, schedule.pk) for schedule in living)
    return max(context.now, *decided, 0)


def _add(context: Context, addon: Addon, content: _Content, moment: int) -> Schedule:
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


def _change(context: Context, schedule: Schedule, content: _Content, moment: int) -> None:
    """An occurrence that was decided stays so; only other instants make the next one new."""
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
    """Instants that are due and will not be fired by anybody any more."""
    rule = schedules.rule(schedule)
    last = latest_due(rule, moment)
    if last < schedule.next_due or occurrences.at(context.session, schedule.pk, last):
        return
    decision = missed(Due(schedule.pk, rule, schedule.next_due, None), last, reason)
    context.session.add(occurrences.row(decision, context.now))
