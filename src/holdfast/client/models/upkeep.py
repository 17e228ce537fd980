"""The objects of schedules and retention as the client sees them; see `models` for the rules."""

from pydantic import Field

from holdfast.client.models.models import Model, Words


class Scheduling(Model):
    interval: str = ""
    minute: list[int] = Field(default=[])
    hour: list[int] = Field(default=[])
    day: list[int] = Field(default=[])


class AdditionalDestination(Model):
    destination_id: str = ""


class Schedule(Model):
    id: str
    backup_type: str = ""
    backup_compression_type: str | None = None
    additional_destinations: list[AdditionalDestination] = Field(default=[])
    custom_destination_id: str | None = None
    scheduling: Scheduling = Scheduling()
    retention_time: int | None = None
    created_at: str | None = None
    updated_at: str | None = None
    next_at: str | None = None
    paused_at: str | None = None
    paused_by: str | None = None
    pause_reason: str | None = None


class CreatedSchedule(Model):
    id: str


class Upcoming(Model):
    at: str


class Occurrence(Model):
    """The outcome of one instant, or of `count` missed ones from `since` to `at`."""

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


class Owner(Model):
    id: str = ""
    name: str = ""
    deleted: bool = False


class OpenDeletion(Model):
    tries: int = 0
    last_error: str | None = None


class PlannedCopy(Model):
    """`fate` is kept, expired, marked, going or stuck."""

    backup_id: str = ""
    destination_id: str | None = None
    status: str = ""
    size: str = "0"
    fate: str = ""
    reasons: list[str] = Field(default=[])
    expires_at: str | None = None
    deletes_at: str | None = None
    earliest_at: str | None = None
    deletion: OpenDeletion | None = None


class AddonPlan(Model):
    project: Owner = Owner()
    addon: Owner = Owner()
    copies: list[PlannedCopy] = Field(default=[])


class Pruned(Model):
    marked: int = 0
    called_off: int = 0
    expired: int = 0


class Hold(Model):
    """Whether retention is held. `resumes_at`: it was, and goes on then."""

    held: bool = False
    placed_at: str | None = None
    placed_by: str | None = None
    reason: str | None = None
    resumes_at: str | None = None
    begun: int = 0


class Deletion(Model):
    id: str
    state: str = ""
    reason: str = ""
    backup_id: str | None = None
    destination_id: str | None = None
    due_at: str | None = None
    done_at: str | None = None
    called_off: str | None = None
    tries: int = 0
    last_error: str | None = None


class Finding(Model):
    id: str
    kind: str = ""
    destination_id: str | None = None
    prefix: str = ""
    reason: str = ""
    outcome: str | None = None


class Audit(Model):
    destination_id: str | None = None
    due_at: str | None = None
    ended_at: str | None = None
    problem: str | None = None
