"""Old data that restores set aside, undos, and the number of warnings of a backup."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("restores", sa.Column("old_until", sa.BigInteger(), nullable=True))
    op.add_column("restores", sa.Column("undoes", sa.String(24), nullable=True))
    where = sa.text("old_until IS NOT NULL")
    op.create_index(
        "restores_with_old_data",
        "restores",
        ["old_until"],
        sqlite_where=where,
        postgresql_where=where,
    )
    op.add_column(
        "backups", sa.Column("warnings", sa.BigInteger(), nullable=False, server_default="0")
    )
