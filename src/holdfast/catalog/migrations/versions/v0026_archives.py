"""Archived logs: archives, their lines, and the pieces that are stored."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _integers(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=nullable)


def _key() -> sa.Column[int]:
    return sa.Column("pk", _KEY, primary_key=True)


def _of(name: str, table: str, *, unique: bool = False) -> sa.Column[int]:
    return sa.Column(name, _KEY, sa.ForeignKey(f"{table}.pk"), nullable=False, unique=unique)


def upgrade() -> None:
    op.create_table(
        "archives",
        _key(),
        _of("addon_pk", "addons", unique=True),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        *_integers("days", "interval_s"),
        sa.Column("unbounded", sa.Boolean(), nullable=False),
        _text("slot", 63),
        _text("recipient"),
        _text("sealed_identity"),
        _text("holder", nullable=True),
        *_integers("fence"),
        *_integers("beat", nullable=True),
        _text("state", 20),
        _text("reason", nullable=True),
        *_integers("behind", "slack", "checked", nullable=True),
        *_integers("since", "created"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "archive_lines",
        _key(),
        _of("archive_pk", "archives"),
        _text("root", 24),
        _text("name", 60),
        *_integers("parent_pk", nullable=True),
        *_integers("forked", "needs"),
        _text("source"),
        *_integers("segment"),
        *_integers("begins", "head", "head_clock", nullable=True),
        *_integers("since"),
        *_integers("until", nullable=True),
        _text("ended", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("archive_lines_of_archive", "archive_lines", ["archive_pk", "pk"])
    op.create_table(
        "archive_pieces",
        _key(),
        _of("line_pk", "archive_lines"),
        *_integers("start", "end"),
        sa.Column("whole", sa.Boolean(), nullable=False),
        *_integers("stored"),
        _text("sha256", 64),
        *_integers("crc"),
        *_integers("clock", nullable=True),
        *_integers("first", "last", "created"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "archive_pieces_of_line", "archive_pieces", ["line_pk", "start", "end"], unique=True
    )
