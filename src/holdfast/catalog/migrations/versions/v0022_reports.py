"""Signed reports, which the database itself lets nobody change, and their key."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WORD = "reports are only ever added"
_TABLES = ("reports", "report_parts")

# REPLACE deletes without firing triggers on DELETE, so a row that is there is no place to insert.
_SQLITE = [
    f"CREATE TRIGGER {table}_kept_{name} BEFORE {event} ON {table} {when} "
    f"BEGIN SELECT RAISE(ABORT, '{_WORD}'); END"
    for table in _TABLES
    for name, event, when in (
        ("update", "UPDATE", ""),
        ("delete", "DELETE", ""),
        ("replace", "INSERT", f"WHEN EXISTS (SELECT 1 FROM {table} WHERE pk = NEW.pk)"),  # noqa: S608
    )
]
_POSTGRESQL = [
    "CREATE FUNCTION reports_kept() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_WORD}'; END $$",
    *(
        f"CREATE TRIGGER {table}_kept_{name} BEFORE {event} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION reports_kept()"
        for table in _TABLES
        for name, event, each in (
            ("rows", "UPDATE OR DELETE", "ROW"),
            ("whole", "TRUNCATE", "STATEMENT"),
        )
    ),
]


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("pk", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sealed_private", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "reports",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False, unique=True),
        sa.Column("project", sa.String(60), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.String(24), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("html_sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("html_size", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=True),
        sa.Column("scope_before", sa.BigInteger(), nullable=True),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(100), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("reports_of_project", "reports", ["project", "pk"])
    op.create_table(
        "report_parts",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("report_pk", _KEY, sa.ForeignKey("reports.pk"), nullable=False),
        sa.Column("file", sa.String(10), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "report_parts_in_order", "report_parts", ["report_pk", "file", "position"], unique=True
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(statement)
