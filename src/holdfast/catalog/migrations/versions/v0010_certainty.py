"""What a takeover must know: how an operation will end, which packs go, whether a worker lives."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operations", sa.Column("verdict", sa.String(20)))
    op.add_column("repositories", sa.Column("doomed", sa.JSON(none_as_null=True)))
    beats = sa.Column("beats", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("workers", beats)
