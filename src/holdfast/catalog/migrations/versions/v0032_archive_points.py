"""Named points of archived logs."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "archive_points",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("archive_pk", _KEY, sa.ForeignKey("archives.pk"), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("line", sa.String(60), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("instant", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("archive_points_of_name", "archive_points", ["archive_pk", "name"], unique=True)
