"""The objects of schedules and retention as the client sees them; see `models` for the rules."""

from pydantic import Field

from holdfast.client.models import Model, Words


class Scheduling(Model):
    interval: str = ""
    minute: list[int] = Field(default=[])
    hour: list[int] = Field(default=[])
    day: list[int] = Field(default=[])


class Schedule(Model):
    id: str
    backup_type: str = ""
    backup_compression_type: str | None = None
    additional_destinations: list[Words] = Field(default=[])
    custom_destination_id: str | None = None
    scheduling: Scheduling = Scheduling()
    retention_time: int | None = None
    created_at: str | None = None
    updated_at: str | None = None
    next_at: str | None = None


class Made(Model):
    id: str


class Upcoming(Model):
    at: str


class Occurrence(Model):
    """What became of one instant, or of `count` missed ones from `since` to `at`."""

    at: str
    outcome: str = ""
    since: str | None = None
    count: int = 1
    reason: str = ""
    decided_at: str | None = None
    late_seconds: float | None = None
    backup: Words | None = None


class Explanation(Model):
    at: str
    outcome: str = ""
    sentence: str = ""
