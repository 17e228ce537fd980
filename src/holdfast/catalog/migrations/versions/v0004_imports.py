"""Imports, and the uploads that some of them read."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("addon_pk", _KEY, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["addon_pk"], ["addons.pk"]),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_uploads_addon_pk", "uploads", ["addon_pk"])
    op.create_table(
        "upload_parts",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("upload_pk", _KEY, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["upload_pk"], ["uploads.pk"]),
        sa.PrimaryKeyConstraint("pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("upload_parts_in_order", "upload_parts", ["upload_pk", "start"], unique=True)
    op.create_table(
        "imports",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("backup_pk", _KEY, nullable=False),
        sa.Column("upload_pk", _KEY, nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("every_database", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["backup_pk"], ["backups.pk"]),
        sa.ForeignKeyConstraint(["upload_pk"], ["uploads.pk"]),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("backup_pk"),
        sqlite_autoincrement=True,
    )
