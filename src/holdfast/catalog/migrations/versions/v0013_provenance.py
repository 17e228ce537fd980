"""Backups say whether the addon's own server made them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_FOREIGN = "'liveInstance', 'externalDump', 'fileUpload'"


def upgrade() -> None:
    """What was imported, or adopted without proof of who wrote it, is foreign."""
    column = sa.Column("provenance", sa.String(10), nullable=False, server_default="own")
    op.add_column("backups", column)
    op.execute(
        f"UPDATE backups SET provenance = 'foreign' WHERE source IN ({_FOREIGN})"  # noqa: S608
        " OR (type = 'dump' AND operation IS NULL)"
    )
