"""The catalogue knows which master key its secrets are sealed with."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "master_keys",
        sa.Column("pk", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("proof", sa.Text(), nullable=False),
    )
