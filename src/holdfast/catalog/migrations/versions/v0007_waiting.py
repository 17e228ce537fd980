"""Indexes of what waits for a daemon: each is as small as what there is to do."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WAITING = (
    ("copies_to_retry", "copies", "next_try", "next_try IS NOT NULL AND gone IS NULL"),
    ("copies_lost", "copies", "lost", "lost IS NOT NULL AND gone IS NULL"),
    ("copies_put_off", "copies", "review", "gone IS NULL AND expires < review"),
    ("backups_hidden", "backups", "deleted", "deleted IS NOT NULL"),
    ("imports_sealed", "imports", "backup_pk", "sealed IS NOT NULL"),
    ("operations_littered", "operations", "pk", "litter IS TRUE"),
)


def upgrade() -> None:
    for name, table, column, which in _WAITING:
        where = sa.text(which)
        op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)
