"""What a takeover must know: how an operation will end, which packs go, whether a worker lives.

And how to find what ages out.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operations", sa.Column("verdict", sa.String(20)))
    op.add_column("repositories", sa.Column("doomed", sa.JSON(none_as_null=True)))
    op.create_index("operations_by_end", "operations", ["ended"])
    op.create_index("occurrences_by_decision", "occurrences", ["decided"])
    op.create_index("restores_by_end", "restores", ["completed"])
    # What is done only when asked for was due in a hundred years; now it is due at the end of time.
    op.execute("UPDATE chores SET due = 253402214400000 WHERE due > 3300000000000")
    beats = sa.Column("beats", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("workers", beats)
