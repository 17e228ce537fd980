"""Tables of tokens, roles, workers, chores and the audit log."""

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class Role(Table):
    __tablename__ = "roles"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str]
    permissions: Mapped[list[str]]
    created: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Token(Table):
    """`digest` is the sha256 of a 256-bit random token: nothing to guess, so no slow hash.

    `user_id` is the user that it was given to, without whom it is worth nothing.
    """

    __tablename__ = "tokens"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str]
    projects: Mapped[list[str] | None]
    created: Mapped[int]
    expires: Mapped[int | None]
    last_used: Mapped[int | None]
    revoked: Mapped[int | None]
    user_id: Mapped[str | None] = mapped_column(String(24), index=True)
    __table_args__ = ({"sqlite_autoincrement": True},)


class Replay(Table):
    """The answer to a POST, repeated if the same token repeats the request within the window."""

    __tablename__ = "replays"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    at: Mapped[int]
    answer: Mapped[Document | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Worker(Table):
    """A worker. `beats` grows with every beat: watchers judge by whether it changes, by their own
    clock. `seen` is the database's time of the last beat, for people. `controls` are the attached
    addons, as `project/addon`, whose servers it may stop and start; `drills` is how many drills it
    takes at a time."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(60), primary_key=True)
    node: Mapped[str] = mapped_column(String(60))
    controls: Mapped[list[str]] = mapped_column(default=list[str])
    seen: Mapped[int]
    beats: Mapped[int] = mapped_column(default=0)
    drills: Mapped[int] = mapped_column(default=0, server_default="0")


class Chore(Table):
    """Recurring upkeep: the process that advances `due` by compare-and-set does it."""

    __tablename__ = "chores"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    due: Mapped[int]
    ended: Mapped[int | None]
    problem: Mapped[str | None]


class StoreMark(Table):
    """The content of the mark file that identifies a store on this machine."""

    __tablename__ = "store_marks"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    mark: Mapped[str]


class AuditEntry(Table):
    """Who changed what, from where. Written in the transaction of the change; triggers make it
    immutable. `project` and `addon` are ids as they were then, None for what has none."""

    __tablename__ = "audit_log"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    at: Mapped[int]
    request: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    token: Mapped[str] = mapped_column(String(24))
    actor: Mapped[str]
    role: Mapped[str]
    action: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(40))
    object: Mapped[str]
    project: Mapped[str | None] = mapped_column(String(60))
    addon: Mapped[str | None] = mapped_column(String(60))
    before: Mapped[Document | None]
    after: Mapped[Document | None]
    __table_args__ = (
        Index("audit_log_by_time", "at"),
        Index("audit_log_by_token", "token", "pk"),
        Index("audit_log_by_project", "project", "pk"),
        Index("audit_log_by_object", "kind", "object", "pk"),
        {"sqlite_autoincrement": True},
    )
