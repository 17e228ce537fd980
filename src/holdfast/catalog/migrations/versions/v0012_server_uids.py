"""Each managed server has a user of its machine to itself: servers of before get one when they
start next."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("addons", sa.Column("server_uid", sa.BigInteger(), nullable=True))
    op.create_index("addons_server_uids", "addons", ["node", "server_uid"], unique=True)
