"""The audit log, which the database itself lets nobody change."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WORD = "the audit log is only ever added to"

# REPLACE deletes without firing triggers on DELETE, so a row that is there is no place to insert.
_SQLITE = [
    f"CREATE TRIGGER audit_log_kept_{name} BEFORE {event} ON audit_log {when} "
    f"BEGIN SELECT RAISE(ABORT, '{_WORD}'); END"
    for name, event, when in (
        ("update", "UPDATE", ""),
        ("delete", "DELETE", ""),
        ("replace", "INSERT", "WHEN EXISTS (SELECT 1 FROM audit_log WHERE pk = NEW.pk)"),
    )
]
_POSTGRESQL = [
    "CREATE FUNCTION audit_log_kept() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_WORD}'; END $$",
    "CREATE TRIGGER audit_log_kept_rows BEFORE UPDATE OR DELETE ON audit_log "
    "FOR EACH ROW EXECUTE FUNCTION audit_log_kept()",
    "CREATE TRIGGER audit_log_kept_whole BEFORE TRUNCATE ON audit_log "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_kept()",
]


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("pk", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=24), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("project", sa.String(length=60), nullable=True),
        sa.Column("addon", sa.String(length=60), nullable=True),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_log_by_time", "audit_log", ["at"])
    op.create_index("audit_log_by_token", "audit_log", ["token", "pk"])
    op.create_index("audit_log_by_project", "audit_log", ["project", "pk"])
    op.create_index("audit_log_by_object", "audit_log", ["kind", "object", "pk"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(statement)
