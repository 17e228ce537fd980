"""Tables of users, their sessions in browsers, and what they sign in with."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Table


class User(Table):
    """A person who signs in. `folded_name` is the name without case, which is unique.

    `link_digest` is that of a link which sets a password once; `totp_step` the last time step
    whose code was accepted; `issuer` and `subject` identify the user at a single sign-on provider.
    """

    __tablename__ = "users"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    name: Mapped[str]
    folded_name: Mapped[str] = mapped_column(String(254), unique=True)
    role: Mapped[str]
    projects: Mapped[list[str] | None]
    password_hash: Mapped[str | None]
    password_set: Mapped[int | None]
    link_digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    link_expires: Mapped[int | None]
    sealed_totp: Mapped[str | None]
    totp_step: Mapped[int | None]
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    created: Mapped[int]
    expires: Mapped[int | None]
    disabled: Mapped[int | None]
    last_seen: Mapped[int | None]

    def may_sign_in(self, now: int) -> bool:
        return self.disabled is None and (self.expires is None or now < self.expires)

    __table_args__ = (
        Index("users_of_provider", "issuer", "subject", unique=True),
        {"sqlite_autoincrement": True},
    )


class WebSession(Table):
    """A session of a browser: of a user, or of the API token that it was opened with.

    `digest` is the sha256 of the random id in the cookie. `proven` is when the user last showed
    who they are, `seen` the last request, to the minute.
    """

    __tablename__ = "web_sessions"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_pk: Mapped[int | None] = mapped_column(ForeignKey("users.pk"), index=True)
    token_id: Mapped[str | None] = mapped_column(String(24), index=True)
    method: Mapped[str] = mapped_column(String(40))
    address: Mapped[str] = mapped_column(String(64))
    program: Mapped[str]
    created: Mapped[int] = mapped_column(index=True)
    proven: Mapped[int]
    seen: Mapped[int] = mapped_column(index=True)
    sealed_id_token: Mapped[str | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Passkey(Table):
    """A WebAuthn credential. `credential` and `public_key` are in base64url."""

    __tablename__ = "passkeys"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    user_pk: Mapped[int] = mapped_column(ForeignKey("users.pk"), index=True)
    name: Mapped[str]
    credential_digest: Mapped[str] = mapped_column(String(64), unique=True)
    credential: Mapped[str]
    public_key: Mapped[str]
    sign_count: Mapped[int]
    transports: Mapped[list[str]]
    created: Mapped[int]
    last_used: Mapped[int | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class RecoveryCode(Table):
    """The digest of a code that stands in for a second factor once."""

    __tablename__ = "recovery_codes"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_pk: Mapped[int] = mapped_column(ForeignKey("users.pk"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    used: Mapped[int | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class CliLogin(Table):
    """A command line that waits on a socket for a token, while a browser decides.

    `digest` is that of the secret in its link, `ending` the end of the link, which people compare.
    """

    __tablename__ = "cli_logins"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    ending: Mapped[str] = mapped_column(String(9))
    address: Mapped[str] = mapped_column(String(64))
    program: Mapped[str]
    created: Mapped[int]
    expires: Mapped[int] = mapped_column(index=True)
    answer: Mapped[str | None] = mapped_column(String(10))
    context: Mapped[str | None]
    sealed_token: Mapped[str | None]
    __table_args__ = ({"sqlite_autoincrement": True},)
