"""Users, their sessions in browsers, passkeys, recovery codes, and sign-ins of command lines."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _integers(*names: str, nullable: bool = True) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=nullable)


def _key() -> sa.Column[int]:
    return sa.Column("pk", _KEY, primary_key=True)


def _id(name: str = "id", length: int = 24) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, unique=True)


def _user(*, nullable: bool = False) -> sa.Column[int]:
    return sa.Column("user_pk", _KEY, sa.ForeignKey("users.pk"), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "users",
        _key(),
        _id(),
        _text("name"),
        _id("folded_name", 254),
        _text("role"),
        sa.Column("projects", sa.JSON(), nullable=True),
        _text("password_hash", nullable=True),
        *_integers("password_set"),
        sa.Column("link_digest", sa.String(64), nullable=True, unique=True),
        *_integers("link_expires"),
        _text("sealed_totp", nullable=True),
        *_integers("totp_step"),
        _text("issuer", nullable=True),
        _text("subject", nullable=True),
        *_integers("created", nullable=False),
        *_integers("expires", "disabled", "last_seen"),
        sqlite_autoincrement=True,
    )
    op.create_index("users_of_provider", "users", ["issuer", "subject"], unique=True)
    op.create_table(
        "web_sessions",
        _key(),
        _id(),
        _id("digest", 64),
        _user(nullable=True),
        _text("token_id", 24, nullable=True),
        _text("method", 40),
        _text("address", 64),
        _text("program"),
        *_integers("created", "proven", "seen", nullable=False),
        _text("sealed_id_token", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_web_sessions_user_pk", "web_sessions", ["user_pk"])
    op.create_index("ix_web_sessions_token_id", "web_sessions", ["token_id"])
    op.create_index("ix_web_sessions_seen", "web_sessions", ["seen"])
    op.create_index("ix_web_sessions_created", "web_sessions", ["created"])
    op.create_table(
        "passkeys",
        _key(),
        _id(),
        _user(),
        _text("name"),
        _id("credential_digest", 64),
        _text("credential"),
        _text("public_key"),
        *_integers("sign_count", nullable=False),
        sa.Column("transports", sa.JSON(), nullable=False),
        *_integers("created", nullable=False),
        *_integers("last_used"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_passkeys_user_pk", "passkeys", ["user_pk"])
    op.create_table(
        "recovery_codes",
        _key(),
        _user(),
        _id("digest", 64),
        *_integers("used"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_recovery_codes_user_pk", "recovery_codes", ["user_pk"])
    op.create_table(
        "cli_logins",
        _key(),
        _id("digest", 64),
        _text("ending", 9),
        _text("address", 64),
        _text("program"),
        *_integers("created", "expires", nullable=False),
        _text("answer", 10, nullable=True),
        _text("context", nullable=True),
        _text("sealed_token", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cli_logins_expires", "cli_logins", ["expires"])
    op.add_column("tokens", sa.Column("user_id", sa.String(24), nullable=True))
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
