"""Tables of operations and of their logs."""

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class Operation(Table):
    """One long work and who may do it.

    `slot` is set from dispatch to end. 1 is unique per addon: the database itself keeps a second
    operation out. 2 is for work beside the rest (`domain.operation.BESIDE`), unique per addon and
    kind. `fence` counts dispatches: a worker with an older one changes nothing. `verdict`
    is the status it will end with, once decided: from then on no worker goes on with it; its
    leftovers are removed, and only then it ends.
    """

    __tablename__ = "operations"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    kind: Mapped[str] = mapped_column(String(20))
    lane: Mapped[str] = mapped_column(String(60))
    priority: Mapped[int]
    status: Mapped[str] = mapped_column(String(20))
    slot: Mapped[int | None]
    fence: Mapped[int]
    attempt: Mapped[int]
    worker: Mapped[str | None]
    arguments: Mapped[Document]
    step: Mapped[str | None]
    record: Mapped[Document]
    progress: Mapped[Document | None]
    error_code: Mapped[str | None]
    reason: Mapped[str | None]
    litter: Mapped[bool] = mapped_column(default=False)
    verdict: Mapped[str | None] = mapped_column(String(20))
    created: Mapped[int]
    started: Mapped[int | None]
    ended: Mapped[int | None]
    __table_args__ = (
        Index(
            "operations_one_at_a_time",
            "addon_pk",
            unique=True,
            sqlite_where=text("slot = 1"),
            postgresql_where=text("slot = 1"),
        ),
        Index(
            "operations_beside",
            "addon_pk",
            "kind",
            unique=True,
            sqlite_where=text("slot = 2"),
            postgresql_where=text("slot = 2"),
        ),
        Index("operations_of_addon", "addon_pk", "status"),
        Index("operations_by_status", "status"),
        Index("operations_by_end", "ended"),
        Index(
            "operations_littered",
            "pk",
            sqlite_where=text("litter IS TRUE"),
            postgresql_where=text("litter IS TRUE"),
        ),
        {"sqlite_autoincrement": True},
    )


class Line(Table):
    """One line of an operation's log."""

    __tablename__ = "journal"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    operation: Mapped[str] = mapped_column(String(24))
    at: Mapped[int]
    text: Mapped[str]
    __table_args__ = (
        Index("journal_of_operation", "operation", "pk"),
        {"sqlite_autoincrement": True},
    )
