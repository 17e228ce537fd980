"""What the API answers about archives of logs."""

from pydantic import Field

from holdfast.client.models.models import Model, RestoreStarted


class ArchiveSpan(Model):
    """A window, or a gap with its reason."""

    start_timestamp: str
    end_timestamp: str
    reason: str | None = None


class ArchiveState(Model):
    enabled: bool
    status: str
    reason: str | None = None
    days: int
    interval_seconds: int
    unbounded: bool = False
    slot: str = ""
    stored_until: str | None = None
    checked_at: str | None = None
    behind_bytes: int | None = None
    slack_bytes: int | None = None
    windows: list[ArchiveSpan] = Field(default=[])
    gaps: list[ArchiveSpan] = Field(default=[])
    bases: list[str] = Field(default=[])


class PitrWindow(Model):
    has_valid_window: bool
    start_timestamp: str | None = None
    end_timestamp: str | None = None


class RecoveryStarted(RestoreStarted):
    """`id` is the backup that the recovery begins with."""

    id: str


class Marked(Model):
    name: str
    position: str
    timestamp: str


class TableChange(Model):
    database: str
    table: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    removed: bool = False


class Change(Model):
    timestamp: str
    position: str
    transaction: str | None = None
    tables: list[TableChange] = Field(default=[])
    defines: bool = False
    statement: str | None = None
    name: str | None = None
    is_whole: bool = True
    line: str | None = None
