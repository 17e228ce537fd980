"""Whether addons are protected: what was promised, and what is known."""

from sqlalchemy import ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class ObjectiveRow(Table):
    """What was promised for an addon, for those of a project, or (both None) for all of them.

    `scope` names the same, because a database lets several rows of NULL be. Times in ms; None
    leaves it to the next wider scope. See `domain.protection.Objective`.
    """

    __tablename__ = "objectives"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    scope: Mapped[str] = mapped_column(String(50), unique=True)
    project_pk: Mapped[int | None] = mapped_column(ForeignKey("projects.pk"))
    addon_pk: Mapped[int | None] = mapped_column(ForeignKey("addons.pk"))
    max_age_ms: Mapped[int | None]
    max_restore_ms: Mapped[int | None]
    proof_ms: Mapped[int | None]
    places: Mapped[int | None]
    updated: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class ProtectionRow(Table):
    """The facts of one living addon, see `domain.protection.Facts`; `days` is its history.

    Written in the transaction that changes one of them. `bytes` are those of its copies in all
    stores, as far as they are there.

    Of its archived log: any instant from `window_begin` to `window_end` can be recovered; the end
    of a window that goes on is the head of `window_line`. `gaps` None: it was never archived. See
    `domain.archive.archiving`.
    """

    __tablename__ = "protection"
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), primary_key=True)
    created: Mapped[int]
    planned: Mapped[int | None]
    paused: Mapped[int | None]
    longest_gap_ms: Mapped[int | None]
    next_due: Mapped[int | None]
    first_good: Mapped[int | None]
    last_good: Mapped[int | None]
    last_good_backup: Mapped[int | None]  # a key of backups that may outlive its row
    places: Mapped[int]
    lost: Mapped[int]
    lost_since: Mapped[int | None]
    failing: Mapped[int | None]
    failure: Mapped[str | None]
    proven: Mapped[int | None]
    proof_ms: Mapped[int | None]
    drill_failing: Mapped[int | None]
    drill_failure: Mapped[str | None]
    bytes: Mapped[int]
    days: Mapped[list[Document]]
    plan_paused: Mapped[int | None]
    plan_paused_by: Mapped[str | None]
    window_begin: Mapped[int | None]
    window_end: Mapped[int | None]
    window_line: Mapped[int | None]
    gaps: Mapped[int | None]
    unreached: Mapped[int | None]
    has_hole: Mapped[bool] = mapped_column(default=False, server_default=false())
