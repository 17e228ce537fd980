"""What workers may control; how far the packs of repositories were read."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "workers",
        sa.Column("controls", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
    )
    zero = sa.text("0")
    for column in (
        sa.Column("read_upto", sa.BigInteger(), nullable=False, server_default=zero),
        sa.Column("read_at", sa.BigInteger(), nullable=True),
        sa.Column("spoiled", sa.JSON(none_as_null=True), nullable=True),
    ):
        op.add_column("repositories", column)
