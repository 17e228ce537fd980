"""Tables of schedules, deletions, the hold on them, and findings of store checks."""

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class Schedule(Table):
    """A schedule of an addon's backups. `next_due` is the first occurrence not decided yet.

    `paused`: since when nothing of it is fired; it has a `next_due` all the same.
    """

    __tablename__ = "schedules"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    type: Mapped[str] = mapped_column(String(20))
    compression: Mapped[str | None] = mapped_column(String(10))
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"), index=True)
    additional: Mapped[list[Document]]
    interval: Mapped[str] = mapped_column(String(10))
    minute: Mapped[list[int]]
    hour: Mapped[list[int]]
    day: Mapped[list[int]]
    retention: Mapped[int]  # days
    next_due: Mapped[int]
    created: Mapped[int]
    updated: Mapped[int]
    deleted: Mapped[int | None]
    paused: Mapped[int | None]
    paused_by: Mapped[str | None]
    paused_reason: Mapped[str | None]
    __table_args__ = (
        Index(
            "schedules_one_of_a_kind",
            "addon_pk",
            "type",
            "interval",
            unique=True,
            sqlite_where=text("deleted IS NULL"),
            postgresql_where=text("deleted IS NULL"),
        ),
        Index(
            "schedules_due",
            "next_due",
            "addon_pk",
            sqlite_where=text("deleted IS NULL"),
            postgresql_where=text("deleted IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Occurrence(Table):
    """The decision about an instant of a schedule. `missed` instants share a row: `count` of them,
    from `since` to `instant`."""

    __tablename__ = "occurrences"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    schedule_pk: Mapped[int] = mapped_column(ForeignKey("schedules.pk"))
    instant: Mapped[int]
    since: Mapped[int]
    count: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    backup_pk: Mapped[int | None] = mapped_column(ForeignKey("backups.pk"), index=True)
    decided: Mapped[int]
    __table_args__ = (
        Index("occurrences_once", "schedule_pk", "instant", unique=True),
        Index("occurrences_by_decision", "decided"),
        {"sqlite_autoincrement": True},
    )


class Deletion(Table):
    """The deletion of a copy's objects, and afterwards the record of why they were deleted.

    Nothing is removed before `due`; until `begun` a changed verdict may still call it off. `place`
    is the store's address when it was marked: only there the objects' absence confirms it.
    `outcome` is a note of the store at the end, if there is more to know than that they are gone.
    """

    __tablename__ = "deletions"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    copy_pk: Mapped[int | None] = mapped_column(ForeignKey("copies.pk"), index=True)
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"))
    prefix: Mapped[str]
    reason: Mapped[str]
    created: Mapped[int]
    due: Mapped[int]
    begun: Mapped[int | None]
    tries: Mapped[int] = mapped_column(default=0)
    next_try: Mapped[int | None]
    last_error: Mapped[str | None]
    called_off: Mapped[str | None]
    done: Mapped[int | None]
    place: Mapped[str | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        Index(
            "deletions_open",
            "due",
            sqlite_where=text("done IS NULL"),
            postgresql_where=text("done IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class RetentionHold(Table):
    """Whether retention removes anything. One row, of the whole installation, is always there: who
    begins a removal locks it, so none begins after a hold was placed.

    `placed` None: there is no hold. `resumes`: after the last one nothing goes before that instant.
    """

    __tablename__ = "retention_holds"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    scope: Mapped[str] = mapped_column(String(20), unique=True)
    placed: Mapped[int | None]
    placed_by: Mapped[str | None]
    reason: Mapped[str | None]
    resumes: Mapped[int | None]


class Finding(Table):
    """A difference between a store and the catalogue: lost, leftover, foreign or damaged."""

    __tablename__ = "findings"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"))
    kind: Mapped[str] = mapped_column(String(20))
    prefix: Mapped[str]
    objects: Mapped[int]
    bytes: Mapped[int]
    copy_pk: Mapped[int | None] = mapped_column(ForeignKey("copies.pk"), index=True)
    reason: Mapped[str]
    created: Mapped[int]
    seen: Mapped[int]
    settled: Mapped[int | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        Index(
            "findings_open",
            "destination_pk",
            "prefix",
            sqlite_where=text("settled IS NULL"),
            postgresql_where=text("settled IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )
