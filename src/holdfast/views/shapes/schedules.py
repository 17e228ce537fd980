"""Answers about schedules and their occurrences."""

from holdfast.views.shapes.base import Shape


class SchedulingView(Shape):
    interval: str
    minute: list[int]
    hour: list[int] | None = None
    day: list[int] | None = None


class AdditionalDestinationView(Shape):
    destination_id: str
    type: str = "custom"
    retention_time: int | None = None


class ScheduleView(Shape):
    """`nextAt` is the first occurrence without a decision yet; a paused schedule has none."""

    id: str
    backup_type: str
    backup_compression_type: str | None = None
    additional_destinations: list[AdditionalDestinationView] | None = None
    custom_destination_id: str | None = None
    scheduling: SchedulingView
    retention_time: int
    created_at: str
    updated_at: str
    next_at: str | None = None
    paused_at: str | None = None
    paused_by: str | None = None
    pause_reason: str | None = None


class ScheduleList(Shape):
    schedules: list[ScheduleView]


class ScheduleMade(Shape):
    id: str


class Upcoming(Shape):
    at: str


class UpcomingList(Shape):
    occurrences: list[Upcoming]


class CausedBackup(Shape):
    id: str
    status: str
    reason: str | None = None
    deleted_at: str | None = None


class OccurrenceView(Shape):
    """The outcome of one instant, or of `count` missed ones from `since` to `at`."""

    at: str
    since: str | None = None
    count: int
    outcome: str
    reason: str
    decided_at: str
    late_seconds: float | None = None
    backup: CausedBackup | None = None


class OccurrenceList(Shape):
    occurrences: list[OccurrenceView]


class Companion(Shape):
    """Another schedule that the same backup was taken for."""

    id: str
    interval: str


class Explanation(Shape):
    """Why an instant did or did not run: one sentence, and the facts behind it."""

    at: str
    outcome: str
    sentence: str
    occurrence: OccurrenceView | None = None
    merged_with: list[Companion] | None = None
    before: str | None = None
    after: str | None = None
