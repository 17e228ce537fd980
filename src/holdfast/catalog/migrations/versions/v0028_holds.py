"""A hold on retention, one row that is always there; and schedules that are paused."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    holds = op.create_table(
        "retention_holds",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("scope", sa.String(20), unique=True, nullable=False),
        sa.Column("placed", sa.BigInteger(), nullable=True),
        sa.Column("placed_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("resumes", sa.BigInteger(), nullable=True),
    )
    op.bulk_insert(holds, [{"scope": "installation"}])
    for column in ("paused", "paused_by", "paused_reason"):
        kind = sa.BigInteger() if column == "paused" else sa.Text()
        op.add_column("schedules", sa.Column(column, kind, nullable=True))
    op.add_column("protection", sa.Column("plan_paused", sa.BigInteger(), nullable=True))
    op.add_column("protection", sa.Column("plan_paused_by", sa.Text(), nullable=True))
