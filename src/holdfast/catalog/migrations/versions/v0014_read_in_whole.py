"""When copies were read, where deletions belong, by what stores and repositories are known.

Dumps that are stored already count as never read: they are read as soon as there is time for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ADDED = {
    "copies": ("read_at", "read_asked", "read_try"),
    "repositories": ("sealed_key", "read_marks"),
    "deletions": ("place", "outcome"),
}
_TYPES: dict[str, type[sa.BigInteger] | type[sa.Text]] = {
    "read_at": sa.BigInteger,
    "read_asked": sa.BigInteger,
    "read_try": sa.BigInteger,
    "sealed_key": sa.Text,
    "place": sa.Text,
    "outcome": sa.Text,
}
_INDEXES = (
    ("copies_by_reading", "read_at", "gone IS NULL AND read_at IS NOT NULL"),
    ("copies_to_read_now", "read_asked", "gone IS NULL AND read_asked IS NOT NULL"),
)


def upgrade() -> None:
    for table, columns in _ADDED.items():
        for name in columns:
            kind = _TYPES[name]() if name in _TYPES else sa.JSON(none_as_null=True)
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.add_column("copies", sa.Column("spoiled", sa.Text(), nullable=True))
    for name, column, which in _INDEXES:
        where = sa.text(which)
        op.create_index(name, "copies", [column], sqlite_where=where, postgresql_where=where)
    op.execute(
        "UPDATE copies SET read_at = 0 WHERE status = 'completed' AND gone IS NULL"
        " AND objects IS NOT NULL AND backup_pk IN (SELECT pk FROM backups WHERE type = 'dump')"
    )
    op.create_table(
        "store_marks",
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("mark", sa.Text(), nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("copy_pk", _KEY, sa.ForeignKey("copies.pk"), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("readings_of_copy", "readings", ["copy_pk"])
