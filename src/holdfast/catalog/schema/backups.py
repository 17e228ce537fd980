"""Backups, their copies, and the restores made of them."""

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class Backup(Table):
    """A requested backup and its result; its copies say where the bytes are.

    `schedules` are those that caused it, as they were then. `deleted`: hidden from callers.
    `provenance` is one of `domain.provenance.Provenance`; `warnings` how many its evidence names.
    """

    __tablename__ = "backups"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    id: Mapped[str] = mapped_column(String(60))
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(20))
    provenance: Mapped[str] = mapped_column(String(10), server_default="own")
    compression: Mapped[str | None] = mapped_column(String(10))
    schedules: Mapped[list[Document] | None]
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None]
    size: Mapped[int]
    version: Mapped[str]
    retained: Mapped[bool]
    warnings: Mapped[int] = mapped_column(default=0, server_default="0")
    evidence: Mapped[Document | None] = mapped_column(deferred=True)  # large: not for lists
    operation: Mapped[str | None] = mapped_column(String(24), index=True)
    created: Mapped[int]
    completed: Mapped[int | None]
    deleted: Mapped[int | None]
    __table_args__ = (
        Index("backups_by_slug", "addon_pk", "id", unique=True),
        Index(
            "backups_newest_first",
            "addon_pk",
            "pk",
            sqlite_where=text("deleted IS NULL"),
            postgresql_where=text("deleted IS NULL"),
        ),
        Index(
            "backups_hidden",
            "deleted",
            sqlite_where=text("deleted IS NOT NULL"),
            postgresql_where=text("deleted IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Copy(Table):
    """One backup at one destination; `destination_pk` None is the platform store.

    The backup's status follows the first copy; additional ones have their own. `objects` is the
    proven attempt's prefix, or the snapshot object. `expires` None: kept until deleted by hand.
    `review` is when retention judges it next, `marked` when it was marked for deletion, `lost` when
    its objects were found missing, `gone` when the store confirmed their deletion.

    Of dumps: `read_at` is when the last reading began that found every byte right, 0 before the
    first; `read_asked` when a reading was requested; until `read_try` one process has the reading,
    or it is not retried; `spoiled` is the problem of the bytes.
    """

    __tablename__ = "copies"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    backup_pk: Mapped[int] = mapped_column(ForeignKey("backups.pk"))
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"))
    additional: Mapped[bool]
    retention: Mapped[int | None]  # days, as asked
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None]
    operation: Mapped[str | None] = mapped_column(String(24), index=True)
    tries: Mapped[int] = mapped_column(default=0)
    next_try: Mapped[int | None]
    size: Mapped[int]
    objects: Mapped[str | None]
    created: Mapped[int]
    completed: Mapped[int | None]
    expires: Mapped[int | None]
    review: Mapped[int | None]
    marked: Mapped[int | None]
    lost: Mapped[int | None]
    gone: Mapped[int | None]
    read_at: Mapped[int | None]
    read_asked: Mapped[int | None]
    read_try: Mapped[int | None]
    spoiled: Mapped[str | None]
    __table_args__ = (
        Index("copies_of_backup", "backup_pk", "destination_pk"),
        Index("copies_of_addon", "addon_pk", "pk"),
        Index(
            "copies_at_destination",
            "destination_pk",
            "pk",
            sqlite_where=text("gone IS NULL"),
            postgresql_where=text("gone IS NULL"),
        ),
        Index(
            "copies_to_review",
            "review",
            sqlite_where=text("gone IS NULL"),
            postgresql_where=text("gone IS NULL"),
        ),
        Index(
            "copies_to_retry",
            "next_try",
            sqlite_where=text("next_try IS NOT NULL AND gone IS NULL"),
            postgresql_where=text("next_try IS NOT NULL AND gone IS NULL"),
        ),
        Index(
            "copies_put_off",
            "review",
            sqlite_where=text("gone IS NULL AND expires < review"),
            postgresql_where=text("gone IS NULL AND expires < review"),
        ),
        Index(
            "copies_lost",
            "lost",
            sqlite_where=text("lost IS NOT NULL AND gone IS NULL"),
            postgresql_where=text("lost IS NOT NULL AND gone IS NULL"),
        ),
        Index(
            "copies_by_reading",
            "read_at",
            sqlite_where=text("gone IS NULL AND read_at IS NOT NULL"),
            postgresql_where=text("gone IS NULL AND read_at IS NOT NULL"),
        ),
        Index(
            "copies_to_read_now",
            "read_asked",
            sqlite_where=text("gone IS NULL AND read_asked IS NOT NULL"),
            postgresql_where=text("gone IS NULL AND read_asked IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Reading(Table):
    """A download that reads a copy: nothing of it is removed before `until`, which the download
    extends."""

    __tablename__ = "readings"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    copy_pk: Mapped[int] = mapped_column(ForeignKey("copies.pk"))
    until: Mapped[int]
    __table_args__ = (Index("readings_of_copy", "copy_pk"), {"sqlite_autoincrement": True})


class Import(Table):
    """Where an imported backup came from. `sealed` is a connection string or an address, which may
    hold a secret, so it is forgotten when the import is over."""

    __tablename__ = "imports"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    backup_pk: Mapped[int] = mapped_column(ForeignKey("backups.pk"), unique=True)
    upload_pk: Mapped[int | None] = mapped_column(ForeignKey("uploads.pk"))
    sealed: Mapped[str | None]
    every_database: Mapped[bool]
    __table_args__ = (
        Index(
            "imports_sealed",
            "backup_pk",
            sqlite_where=text("sealed IS NOT NULL"),
            postgresql_where=text("sealed IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Upload(Table):
    """A file on its way to us, to become a backup. `size` and `sha256` as announced, if they were;
    `touched` is when the last part came."""

    __tablename__ = "uploads"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), index=True)
    size: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    received: Mapped[int]
    created: Mapped[int]
    touched: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class UploadPart(Table):
    """One object of an upload, in the platform store; `start` is its offset in the file."""

    __tablename__ = "upload_parts"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    upload_pk: Mapped[int] = mapped_column(ForeignKey("uploads.pk"))
    start: Mapped[int]
    size: Mapped[int]
    key: Mapped[str]
    __table_args__ = (
        Index("upload_parts_in_order", "upload_pk", "start", unique=True),
        {"sqlite_autoincrement": True},
    )


class Restore(Table):
    """`old_until`: the old data is set aside on the server until then, in ms since 1970; None: it
    is not, or not any more. `undoes`: the id of the restore that this one undoes."""

    __tablename__ = "restores"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    backup_pk: Mapped[int] = mapped_column(ForeignKey("backups.pk"), index=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), index=True)
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None]
    report: Mapped[Document | None]
    operation: Mapped[str] = mapped_column(String(24), index=True)
    created: Mapped[int]
    completed: Mapped[int | None]
    old_until: Mapped[int | None]
    undoes: Mapped[str | None] = mapped_column(String(24))
    __table_args__ = (
        Index("restores_by_end", "completed"),
        Index(
            "restores_with_old_data",
            "old_until",
            sqlite_where=text("old_until IS NOT NULL"),
            postgresql_where=text("old_until IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )
