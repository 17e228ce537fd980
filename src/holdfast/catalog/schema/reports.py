"""Signed reports about protection, and the key that signs them. Rows are only ever added."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Table


class SigningKey(Table):
    """One row: the Ed25519 key of reports. `sealed_private` is its PEM, `public` is PEM, too."""

    __tablename__ = "signing_keys"
    pk: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed_private: Mapped[str]
    public: Mapped[str]
    created: Mapped[int]


class Report(Table):
    """One signed report. `number` counts all of the installation, without a gap.

    It is about [`since`, `until`) and `project` (an id as it was then; None: all projects).
    `sha256` is of its JSON, `html_sha256` of its HTML, sizes are in bytes. `previous` is the
    sha256 of the JSON of the report before it, `scope_before` the number of the last one about the
    same project. `signature` is base64.
    """

    __tablename__ = "reports"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    project: Mapped[str | None] = mapped_column(String(60))
    since: Mapped[int]
    until: Mapped[int]
    made: Mapped[int]
    token: Mapped[str] = mapped_column(String(24))
    actor: Mapped[str]
    role: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    html_sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    html_size: Mapped[int]
    previous: Mapped[str | None] = mapped_column(String(64))
    scope_before: Mapped[int | None]
    key_sha256: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str] = mapped_column(String(100))
    __table_args__ = (
        Index("reports_of_project", "project", "pk"),
        {"sqlite_autoincrement": True},
    )


class ReportPart(Table):
    """A stretch of a report's file, compressed by zstd. `file` is json or html."""

    __tablename__ = "report_parts"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    report_pk: Mapped[int] = mapped_column(ForeignKey("reports.pk"))
    file: Mapped[str] = mapped_column(String(10))
    position: Mapped[int]
    body: Mapped[bytes]
    __table_args__ = (
        Index("report_parts_in_order", "report_pk", "file", "position", unique=True),
        {"sqlite_autoincrement": True},
    )
