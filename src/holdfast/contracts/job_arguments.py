"""Arguments of operations: one model per kind of job, stored as JSON in the operation's row.

Use cases build the models, jobs read them back. An alias is the key in the stored document and
never changes; a field that was not set is left out of it.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Arguments(BaseModel):
    model_config = ConfigDict(frozen=True)

    def document(self) -> dict[str, Any]:
        return self.model_dump(by_alias=True, exclude_unset=True)


class ProjectArguments(Arguments):
    """Jobs that write to a store: `project` is the id that object keys begin with."""

    project: str


class BackupArguments(ProjectArguments):
    """Arguments of taking a dump or a snapshot. `rate`: KiB per second to read the server with
    at most. `drill`: whether one follows as soon as the backup is completed."""

    backup_pk: int = Field(alias="backup")
    rate: int | None = None
    drill: bool = False


class CopyArguments(ProjectArguments):
    """Arguments of replicating or repairing one copy."""

    copy_pk: int = Field(alias="copy")


class PruneArguments(ProjectArguments):
    repository_pk: int = Field(alias="repository")


class RestoreArguments(Arguments):
    """Arguments of restoring a dump or a snapshot; see `usecases.restores.Choices`."""

    backup_pk: int = Field(alias="backup")
    restore_pk: int = Field(alias="restore")
    may_replace: bool = Field(default=False, alias="replace")
    trusted: bool = False
    accepted: list[str] = Field(default=[], alias="accept")
    skips_failed: bool = Field(default=False, alias="skip_failed")
    keep_old_hours: int | None = Field(default=None, alias="keep_old")
    locale: str | None = None


class RecoverArguments(RestoreArguments):
    """Arguments of a recovery: `backup_pk` is its base, `line_pk` the archived line it ends on.

    The target is an `instant` in ms, a `position`, a `transaction` or a `point`: a
    `contracts.archive.Target`.
    """

    line_pk: int = Field(alias="line")
    instant: int | None = None
    position: int | None = None
    transaction: str | None = None
    point: str | None = None
    inclusive: bool = True


class DrillArguments(Arguments):
    """Arguments of a drill: `drill_pk` is its own row. `instant` and `line_pk`: the log of that
    line is replayed onto the backup, up to then."""

    backup_pk: int = Field(alias="backup")
    drill_pk: int = Field(alias="drill")
    instant: int | None = None
    line_pk: int | None = Field(default=None, alias="line")


class OldDataArguments(Arguments):
    """Arguments of undoing a restore or dropping its old data. `undone_pk`: that restore;
    `restore_pk`: the restore that an undo is itself."""

    undone_pk: int = Field(alias="undone")
    restore_pk: int | None = Field(default=None, alias="restore")
