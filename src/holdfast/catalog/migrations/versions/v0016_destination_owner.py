"""Destinations belong to the installation or to a project, and say who may use them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those that are there belong to the installation, and every project may use them."""
    op.add_column("destinations", sa.Column("project_pk", sa.BigInteger(), nullable=True))
    op.add_column("destinations", sa.Column("granted", sa.JSON(), nullable=True))
