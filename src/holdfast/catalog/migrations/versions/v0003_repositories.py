"""Repositories of snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "repositories",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("addon_pk", _KEY, nullable=False),
        sa.Column("destination_pk", _KEY, nullable=True),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("sealed_password", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("tidy_due", sa.BigInteger(), nullable=True),
        sa.Column("tidied", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["addon_pk"], ["addons.pk"]),
        sa.ForeignKeyConstraint(["destination_pk"], ["destinations.pk"]),
        sa.PrimaryKeyConstraint("pk"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("repositories", schema=None) as batch_op:
        batch_op.create_index("repositories_of_addon", ["addon_pk", "destination_pk"], unique=True)
        batch_op.create_index(
            "repositories_at_platform",
            ["addon_pk"],
            unique=True,
            sqlite_where=sa.text("destination_pk IS NULL"),
            postgresql_where=sa.text("destination_pk IS NULL"),
        )
    op.create_table(
        "recoveries",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("destination_pk", _KEY, nullable=True),
        sa.Column("sealed_passphrase", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["destination_pk"], ["destinations.pk"]),
        sa.PrimaryKeyConstraint("pk"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("recoveries", schema=None) as batch_op:
        batch_op.create_index("ix_recoveries_destination_pk", ["destination_pk"])
    with op.batch_alter_table("copies", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("reason", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("operation", sa.String(length=24), nullable=True))
        batch_op.add_column(
            sa.Column("tries", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        )
        batch_op.add_column(sa.Column("next_try", sa.BigInteger(), nullable=True))
        batch_op.create_index("ix_copies_operation", ["operation"])
