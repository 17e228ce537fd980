"""Drills, the questions they ask, and operations that work beside others."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_index(
        "operations_beside",
        "operations",
        ["addon_pk", "kind"],
        unique=True,
        sqlite_where=sa.text("slot = 2"),
        postgresql_where=sa.text("slot = 2"),
    )
    op.create_table(
        "drills",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.String(24), nullable=False, unique=True),
        sa.Column("addon_pk", _KEY, sa.ForeignKey("addons.pk"), nullable=False),
        sa.Column("backup_pk", _KEY, sa.ForeignKey("backups.pk"), nullable=False),
        sa.Column("cause", sa.String(20), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("operation", sa.String(24), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("times", sa.JSON(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("keep_minutes", sa.BigInteger(), nullable=False),
        sa.Column("kept_until", sa.BigInteger(), nullable=True),
        sa.Column("sealed_password", sa.Text(), nullable=True),
        sa.Column("connection", sa.JSON(), nullable=True),
        sa.Column("opinions", sa.JSON(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("drills_of_addon", "drills", ["addon_pk", "pk"])
    op.create_index(
        "drills_open",
        "drills",
        ["addon_pk"],
        sqlite_where=sa.text("completed IS NULL"),
        postgresql_where=sa.text("completed IS NULL"),
    )
    op.create_index("drills_by_end", "drills", ["completed"])
    op.create_index("drills_by_verdict", "drills", ["addon_pk", "verdict", "pk"])
    op.create_index("ix_drills_backup_pk", "drills", ["backup_pk"])
    op.create_index("ix_drills_operation", "drills", ["operation"])
    op.create_table(
        "assertions",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("addon_pk", _KEY, sa.ForeignKey("addons.pk"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("database", sa.Text(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("assertions_of_addon", "assertions", ["addon_pk", "name"], unique=True)
    op.create_table(
        "drill_plans",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("addon_pk", _KEY, sa.ForeignKey("addons.pk"), nullable=False, unique=True),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("after_backup", sa.Boolean(), nullable=False),
        sa.Column("compare_content", sa.Boolean(), nullable=False),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("protection") as protection:
        protection.add_column(sa.Column("drill_failing", sa.BigInteger(), nullable=True))
        protection.add_column(sa.Column("drill_failure", sa.Text(), nullable=True))
