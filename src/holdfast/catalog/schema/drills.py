"""Drills: restores into throwaway servers, and what addons' owners ask of them."""

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class Drill(Table):
    """One drill of one backup, and what it proved.

    `cause` and `verdict` are those of `domain.proof.drill` (None: it came to no verdict),
    `findings` what was judged, `times` milliseconds by name. `instant`: the archived log was
    replayed onto the backup up to it. The throwaway server is kept until `kept_until`. `opinions`
    are verdicts of people and scripts who looked at it.
    """

    __tablename__ = "drills"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    backup_pk: Mapped[int] = mapped_column(ForeignKey("backups.pk"), index=True)
    instant: Mapped[int | None]
    cause: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None]
    operation: Mapped[str] = mapped_column(String(24), index=True)
    verdict: Mapped[str | None] = mapped_column(String(20))
    findings: Mapped[list[Document]]
    times: Mapped[Document]
    version: Mapped[str | None]
    size: Mapped[int]
    keep_minutes: Mapped[int]
    kept_until: Mapped[int | None]
    sealed_password: Mapped[str | None]
    connection: Mapped[Document | None]
    opinions: Mapped[list[Document]]
    created: Mapped[int]
    completed: Mapped[int | None]
    __table_args__ = (
        Index("drills_of_addon", "addon_pk", "pk"),
        Index(
            "drills_open",
            "addon_pk",
            sqlite_where=text("completed IS NULL"),
            postgresql_where=text("completed IS NULL"),
        ),
        Index("drills_by_end", "completed"),
        Index("drills_by_verdict", "addon_pk", "verdict", "pk"),
        {"sqlite_autoincrement": True},
    )


class AssertionRow(Table):
    """A question that every drill of an addon asks the restored server. See
    `contracts.drills.Assertion`."""

    __tablename__ = "assertions"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    name: Mapped[str]
    text: Mapped[str]
    seconds: Mapped[int]
    database: Mapped[str | None]
    __table_args__ = (
        Index("assertions_of_addon", "addon_pk", "name", unique=True),
        {"sqlite_autoincrement": True},
    )


class DrillPlanRow(Table):
    """Which drills an addon has by itself; without a row those of the default plan."""

    __tablename__ = "drill_plans"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), unique=True)
    scheduled: Mapped[bool]
    after_backup: Mapped[bool]
    compare_content: Mapped[bool]
    __table_args__ = ({"sqlite_autoincrement": True},)
