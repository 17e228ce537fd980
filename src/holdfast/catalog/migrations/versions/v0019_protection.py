"""Objectives, and the facts about the protection of each addon."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _integers(*names: str, nullable: bool = True) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def upgrade() -> None:
    op.create_table(
        "objectives",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("scope", sa.String(50), nullable=False, unique=True),
        sa.Column("project_pk", _KEY, sa.ForeignKey("projects.pk"), nullable=True),
        sa.Column("addon_pk", _KEY, sa.ForeignKey("addons.pk"), nullable=True),
        *_integers("max_age_ms", "max_restore_ms", "proof_ms", "places"),
        *_integers("updated", nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "protection",
        sa.Column("addon_pk", _KEY, sa.ForeignKey("addons.pk"), primary_key=True),
        *_integers("created", nullable=False),
        *_integers("planned", "paused", "longest_gap_ms", "next_due"),
        *_integers("first_good", "last_good", "last_good_backup"),
        *_integers("places", "lost", nullable=False),
        *_integers("lost_since", "failing"),
        sa.Column("failure", sa.Text(), nullable=True),
        *_integers("proven", "proof_ms"),
        *_integers("bytes", nullable=False),
        sa.Column("days", sa.JSON(), nullable=False),
    )
