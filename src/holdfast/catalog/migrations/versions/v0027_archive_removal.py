"""What may be removed of archived logs, and which pieces are lost or were read."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("review", "looked", "slack_limit"):
        op.add_column("archives", sa.Column(name, sa.BigInteger()))
    op.add_column(
        "archives",
        sa.Column("sweeping", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("archives", sa.Column("obstacle", sa.Text()))
    op.add_column(
        "archive_lines", sa.Column("removed", sa.BigInteger(), nullable=False, server_default="0")
    )
    for name in ("marked", "marked_at", "due"):
        op.add_column("archive_lines", sa.Column(name, sa.BigInteger()))
    for name in ("lost", "read_at"):
        op.add_column("archive_pieces", sa.Column(name, sa.BigInteger()))
