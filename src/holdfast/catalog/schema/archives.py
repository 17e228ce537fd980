"""Tables of archived logs: one archive an addon, its lines and named points, and stored pieces."""

from sqlalchemy import ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Table


class ArchiveRow(Table):
    """`wanted`: the log is to be stored. `days` of instants are promised, and every `interval_s`
    seconds what is new is stored. `unbounded`: the owner accepts that the server keeps any amount
    of its log for us. `recipient` seals, the sealed identity opens.

    `holder` archives under `fence` while its `beat`, by the database's clock, is young. `state` and
    `reason` are for people; `behind` are bytes that are not stored yet, `slack` those that the
    server writes before it lets go of them, of `slack_limit` in all; `checked` is when that was
    true.

    Retention judges the log at `review`; `looked` is when its objects were last compared with the
    rows; `sweeping`: there are objects that were given up; `obstacle` is why old log stays for now.
    `bytes` are those of all its pieces, as stored.
    """

    __tablename__ = "archives"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), unique=True)
    wanted: Mapped[bool]
    days: Mapped[int]
    interval_s: Mapped[int]
    unbounded: Mapped[bool]
    slot: Mapped[str] = mapped_column(String(63))
    recipient: Mapped[str]
    sealed_identity: Mapped[str]
    holder: Mapped[str | None]
    fence: Mapped[int]
    beat: Mapped[int | None]
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None]
    behind: Mapped[int | None]
    slack: Mapped[int | None]
    slack_limit: Mapped[int | None]
    checked: Mapped[int | None]
    since: Mapped[int]
    created: Mapped[int]
    review: Mapped[int | None]
    looked: Mapped[int | None]
    sweeping: Mapped[bool] = mapped_column(default=False, server_default=false())
    obstacle: Mapped[str | None]
    bytes: Mapped[int] = mapped_column(default=0, server_default="0")
    __table_args__ = ({"sqlite_autoincrement": True},)


class ArchiveLine(Table):
    """One unbroken history of a server's log; see `domain.archive.windows`.

    `root` is part of its keys in the store; `source` and `segment` identify the server and the size
    of its segments. What was acknowledged before `head_clock` lies before `head`. `until` None: it
    is archived on; else `ended` says why not.
    """

    __tablename__ = "archive_lines"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    archive_pk: Mapped[int] = mapped_column(ForeignKey("archives.pk"))
    root: Mapped[str] = mapped_column(String(24))
    name: Mapped[str] = mapped_column(String(60))
    parent_pk: Mapped[int | None]
    forked: Mapped[int]
    needs: Mapped[int]
    source: Mapped[str]
    segment: Mapped[int]
    begins: Mapped[int | None]
    head: Mapped[int | None]
    head_clock: Mapped[int | None]
    since: Mapped[int]
    until: Mapped[int | None]
    ended: Mapped[str | None]
    removed: Mapped[int] = mapped_column(default=0, server_default="0")
    marked: Mapped[int | None]
    marked_at: Mapped[int | None]
    due: Mapped[int | None]
    __table_args__ = (
        Index("archive_lines_of_archive", "archive_pk", "pk"),
        {"sqlite_autoincrement": True},
    )


class ArchivePiece(Table):
    """Bytes [start, end) of a line as one object. `whole`: a full segment. `stored` bytes and
    `sha256` are those of the object, `crc` that of the plain bytes (CRC-32C). `first` and `last`
    are the server's clocks when it sent its first and last byte. `lost`: since then its object is
    not to be found, or not what was stored; `read_at`: when the object was last read in whole.

    Of a log of files the last piece of a file ends where the next file begins; `plain` are its
    bytes, None: end - start. A piece with which a file begins has the file's identity, `source`.
    `marks` is JSON: pairs of a position and a clock in ms, before which all lies before that."""

    __tablename__ = "archive_pieces"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    line_pk: Mapped[int] = mapped_column(ForeignKey("archive_lines.pk"))
    start: Mapped[int]
    end: Mapped[int]
    whole: Mapped[bool]
    stored: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    crc: Mapped[int]
    clock: Mapped[int | None]
    first: Mapped[int]
    last: Mapped[int]
    created: Mapped[int]
    lost: Mapped[int | None]
    read_at: Mapped[int | None]
    plain: Mapped[int | None]
    source: Mapped[str | None] = mapped_column(String(64))
    marks: Mapped[str | None]
    __table_args__ = (
        Index("archive_pieces_of_line", "line_pk", "start", "end", unique=True),
        {"sqlite_autoincrement": True},
    )

    @property
    def size(self) -> int:
        """Plain bytes."""
        return self.end - self.start if self.plain is None else self.plain

    @property
    def plain_end(self) -> int:
        return self.start + self.size


class ArchivePoint(Table):
    """A named point in a server's log: its line by name, its position, and the server's clock right
    behind it. `request` is the digest of the request that named it."""

    __tablename__ = "archive_points"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    archive_pk: Mapped[int] = mapped_column(ForeignKey("archives.pk"))
    name: Mapped[str] = mapped_column(String(63))
    line: Mapped[str] = mapped_column(String(60))
    position: Mapped[int]
    instant: Mapped[int]
    request: Mapped[str] = mapped_column(String(64))
    created: Mapped[int]
    __table_args__ = (
        Index("archive_points_of_name", "archive_pk", "name", unique=True),
        {"sqlite_autoincrement": True},
    )
