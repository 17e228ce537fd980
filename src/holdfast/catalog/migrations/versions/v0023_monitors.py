"""Monitors, which expect pings from elsewhere, and how many drills a worker takes."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _integers(*names: str, nullable: bool = True) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def upgrade() -> None:
    op.create_table(
        "monitors",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.String(110), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        *_integers("every_ms", "grace_ms", nullable=False),
        sa.Column("condition", sa.String(10), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        *_integers("since"),
        *_integers("ends", "starts", "watched_ms", nullable=False),
        *_integers("started", "ended", "succeeded", "pinged"),
        sa.Column("signal", sa.String(10), nullable=True),
        sa.Column("said", sa.Text(), nullable=True),
        *_integers("created", "updated", nullable=False),
        sqlite_autoincrement=True,
    )
    drills = sa.Column("drills", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("workers", drills)
