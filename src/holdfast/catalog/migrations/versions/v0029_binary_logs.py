"""Pieces of logs that are files of any length."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("archive_pieces", sa.Column("plain", sa.BigInteger()))
    op.add_column("archive_pieces", sa.Column("source", sa.String(64)))
    op.add_column("archive_pieces", sa.Column("marks", sa.Text()))
