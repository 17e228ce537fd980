"""Alarms, the channels that they are sent to, their deliveries, and observations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _integers(*names: str, nullable: bool = True) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=nullable)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.String(24), nullable=False, unique=True),
        _text("cause", 120),
        _text("kind", 40),
        _text("source", 80),
        _text("severity", 10),
        _text("subject"),
        _text("reason"),
        *_integers("project_pk", "addon_pk"),
        *_integers("since", "opened", "updated", nullable=False),
        *_integers("acknowledged"),
        _text("acknowledged_by", nullable=True),
        *_integers("snoozed_until", "closed"),
        _text("closed_by", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("alarms_open", "alarms", ["cause"], unique=True, **_where("closed IS NULL"))
    op.create_index("ix_alarms_closed", "alarms", ["closed"])
    op.create_index("ix_alarms_project_pk", "alarms", ["project_pk"])
    _create_channels()
    op.create_table(
        "deliveries",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.String(24), nullable=False, unique=True),
        sa.Column("channel_pk", _KEY, sa.ForeignKey("channels.pk"), nullable=False),
        _text("event", 60),
        _text("kind", 40, nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        *_integers("created", "due", nullable=False),
        *_integers("claimed"),
        *_integers("fence", "tries", nullable=False),
        *_integers("sent", "given_up"),
        sqlite_autoincrement=True,
    )
    waiting = _where("sent IS NULL AND given_up IS NULL")
    op.create_index("deliveries_waiting", "deliveries", ["channel_pk", "pk"], **waiting)
    op.create_index("deliveries_of_channel", "deliveries", ["channel_pk", "created"])
    op.create_index("deliveries_by_age", "deliveries", ["created"])
    op.create_table(
        "delivery_attempts",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("delivery_pk", _KEY, sa.ForeignKey("deliveries.pk"), nullable=False),
        *_integers("at", "took_ms", nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        _text("answer"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_attempts_delivery_pk", "delivery_attempts", ["delivery_pk"])
    op.create_table(
        "observations",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("observer", sa.String(80), primary_key=True),
        _text("problem", nullable=True),
        *_integers("since", "seen", "beats", nullable=False),
    )


def _create_channels() -> None:
    op.create_table(
        "channels",
        sa.Column("pk", _KEY, primary_key=True),
        _text("id", 110),
        _text("name"),
        _text("kind", 40),
        _text("shown"),
        _text("sealed_settings"),
        _text("severity", 10),
        sa.Column("projects", sa.JSON(), nullable=True),
        sa.Column("kinds", sa.JSON(), nullable=True),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        _text("digest", 10, nullable=True),
        *_integers("digest_due"),
        sa.Column("events", sa.JSON(), nullable=True),
        sa.Column("form", sa.JSON(), nullable=False),
        *_integers("failures", nullable=False),
        *_integers("failing", "next_try"),
        _text("problem", nullable=True),
        *_integers("delivered"),
        *_integers("created", "updated", nullable=False),
        *_integers("deleted"),
        sqlite_autoincrement=True,
    )
    living = _where("deleted IS NULL")
    op.create_index("channels_living", "channels", ["id"], unique=True, **living)
