"""Schedules and their occurrences; copies of backups; how they go."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_GROWS = {"sqlite_autoincrement": True}

_COPIES = """
    INSERT INTO copies (backup_pk, addon_pk, destination_pk, additional, status, size, objects,
                        created, completed, gone)
    SELECT pk, addon_pk, destination_pk, false, status, size, objects, created, completed, deleted
    FROM backups ORDER BY pk
"""
"""Every backup had exactly one copy, and kept it until somebody deleted it."""


def upgrade() -> None:
    op.create_table(
        "chores",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "schedules",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("addon_pk", _KEY, nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("compression", sa.String(length=10), nullable=True),
        sa.Column("destination_pk", _KEY, nullable=True),
        sa.Column("additional", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("interval", sa.String(length=10), nullable=False),
        sa.Column("minute", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("hour", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("day", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("retention", sa.BigInteger(), nullable=False),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["addon_pk"],
            ["addons.pk"],
        ),
        sa.ForeignKeyConstraint(
            ["destination_pk"],
            ["destinations.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schedules_destination_pk"), ["destination_pk"], unique=False
        )
        batch_op.create_index(
            "schedules_due",
            ["next_due", "addon_pk"],
            unique=False,
            sqlite_where=sa.text("deleted IS NULL"),
            postgresql_where=sa.text("deleted IS NULL"),
        )
        batch_op.create_index(
            "schedules_one_of_a_kind",
            ["addon_pk", "type", "interval"],
            unique=True,
            sqlite_where=sa.text("deleted IS NULL"),
            postgresql_where=sa.text("deleted IS NULL"),
        )

    op.create_table(
        "copies",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("backup_pk", _KEY, nullable=False),
        sa.Column("addon_pk", _KEY, nullable=False),
        sa.Column("destination_pk", _KEY, nullable=True),
        sa.Column("additional", sa.Boolean(), nullable=False),
        sa.Column("retention", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("review", sa.BigInteger(), nullable=True),
        sa.Column("marked", sa.BigInteger(), nullable=True),
        sa.Column("lost", sa.BigInteger(), nullable=True),
        sa.Column("gone", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["addon_pk"],
            ["addons.pk"],
        ),
        sa.ForeignKeyConstraint(
            ["backup_pk"],
            ["backups.pk"],
        ),
        sa.ForeignKeyConstraint(
            ["destination_pk"],
            ["destinations.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("copies", schema=None) as batch_op:
        batch_op.create_index(
            "copies_at_destination",
            ["destination_pk", "pk"],
            unique=False,
            sqlite_where=sa.text("gone IS NULL"),
            postgresql_where=sa.text("gone IS NULL"),
        )
        batch_op.create_index("copies_of_addon", ["addon_pk", "pk"], unique=False)
        batch_op.create_index("copies_of_backup", ["backup_pk", "destination_pk"], unique=False)
        batch_op.create_index(
            "copies_to_review",
            ["review"],
            unique=False,
            sqlite_where=sa.text("gone IS NULL"),
            postgresql_where=sa.text("gone IS NULL"),
        )

    op.create_table(
        "occurrences",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("schedule_pk", _KEY, nullable=False),
        sa.Column("instant", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("backup_pk", _KEY, nullable=True),
        sa.Column("decided", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backup_pk"],
            ["backups.pk"],
        ),
        sa.ForeignKeyConstraint(
            ["schedule_pk"],
            ["schedules.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("occurrences", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_occurrences_backup_pk"), ["backup_pk"], unique=False)
        batch_op.create_index("occurrences_once", ["schedule_pk", "instant"], unique=True)

    op.create_table(
        "findings",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("destination_pk", _KEY, nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("copy_pk", _KEY, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["copy_pk"],
            ["copies.pk"],
        ),
        sa.ForeignKeyConstraint(
            ["destination_pk"],
            ["destinations.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index(
            "findings_open",
            ["destination_pk", "prefix"],
            unique=False,
            sqlite_where=sa.text("settled IS NULL"),
            postgresql_where=sa.text("settled IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_findings_copy_pk"), ["copy_pk"], unique=False)

    op.drop_table("settings")
    with op.batch_alter_table("deletions", table_kwargs=_GROWS) as batch_op:
        batch_op.add_column(sa.Column("copy_pk", _KEY, nullable=True))
        batch_op.add_column(sa.Column("due", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("begun", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("next_try", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("called_off", sa.Text(), nullable=True))
        batch_op.create_foreign_key("deletions_of_copy", "copies", ["copy_pk"], ["pk"])
    op.execute("UPDATE deletions SET due = created, begun = created")
    with op.batch_alter_table("deletions", table_kwargs=_GROWS) as batch_op:
        batch_op.alter_column("due", existing_type=sa.BigInteger(), nullable=False)
        batch_op.create_index(
            "deletions_open",
            ["due"],
            sqlite_where=sa.text("done IS NULL"),
            postgresql_where=sa.text("done IS NULL"),
        )
        batch_op.create_index("ix_deletions_copy_pk", ["copy_pk"])

    op.execute(_COPIES)
    with op.batch_alter_table("backups", table_kwargs=_GROWS) as batch_op:
        batch_op.add_column(sa.Column("schedules", sa.JSON(none_as_null=True), nullable=True))
        batch_op.drop_index("ix_backups_destination_pk")
        batch_op.drop_column("destination_pk")
        batch_op.drop_column("additional")
        batch_op.drop_column("objects")
