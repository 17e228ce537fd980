"""The index of an addon's newest backups holds only those that lists show.

So pages far back are found in the index alone, without reading the rows of the pages before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_LIVING = sa.text("deleted IS NULL")


def upgrade() -> None:
    op.drop_index("backups_newest_first", "backups")
    op.create_index(
        "backups_newest_first",
        "backups",
        ["addon_pk", "pk"],
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )
