"""What can be recovered of an archived log in the row of protection, and its bytes in its own.

The rows of archived addons are derived anew when something changes, and by the chore at the latest.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("window_begin", "window_end", "window_line", "gaps", "unreached"):
        op.add_column("protection", sa.Column(name, sa.BigInteger()))
    hole = sa.Column("has_hole", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("protection", hole)
    stored = sa.Column("bytes", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("archives", stored)
    op.execute(
        "UPDATE archives SET bytes = coalesce((SELECT sum(archive_pieces.stored)"
        " FROM archive_pieces JOIN archive_lines ON archive_lines.pk = archive_pieces.line_pk"
        " WHERE archive_lines.archive_pk = archives.pk), 0)"
    )
