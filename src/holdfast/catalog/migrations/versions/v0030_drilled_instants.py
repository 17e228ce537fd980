"""Drills that restore an instant of an archive's window."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("drills", sa.Column("instant", sa.BigInteger()))
