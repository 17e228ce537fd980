"""Every table of the catalogue, the same on SQLite and PostgreSQL.

Instants are integers, ms since 1970 UTC. `pk` only ever grows, so `pk DESC` is newest-first and
a page boundary stays where it is when rows arrive. Rows that other rows may outlive (projects,
addons, destinations) are marked `deleted` and keep their slug for history; partial unique indexes
free the slug for the living.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

BigKey = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid needs INTEGER
Document = dict[str, Any]


class Table(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own protocol
        int: BigInteger,
        str: Text,
        Document: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
    }


class Setting(Table):
    """Facts of this installation: team, key fingerprint."""

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[str]


class Role(Table):
    __tablename__ = "roles"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str]
    permissions: Mapped[list[str]]
    created: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Token(Table):
    """`digest` is the sha256 of a 256-bit random token: nothing to guess, so no slow hash."""

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
    __table_args__ = ({"sqlite_autoincrement": True},)


class Project(Table):
    __tablename__ = "projects"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(60))
    name: Mapped[str]
    description: Mapped[str | None]
    color: Mapped[str | None]
    region: Mapped[str | None]
    cluster: Mapped[str | None]
    created: Mapped[int]
    updated: Mapped[int]
    deleted: Mapped[int | None]
    __table_args__ = (
        Index(
            "projects_living",
            "id",
            unique=True,
            sqlite_where=text("deleted IS NULL"),
            postgresql_where=text("deleted IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Addon(Table):
    """`host` .. `sealed_password` say how to reach it; `node` is the machine of a managed one."""

    __tablename__ = "addons"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    project_pk: Mapped[int] = mapped_column(ForeignKey("projects.pk"))
    id: Mapped[str] = mapped_column(String(60))
    name: Mapped[str]
    description: Mapped[str | None]
    kind: Mapped[str] = mapped_column(String(40))
    version: Mapped[str]
    managed: Mapped[bool]
    node: Mapped[str | None]
    desired: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(30))
    reason: Mapped[str | None]
    host: Mapped[str]
    port: Mapped[int]
    user: Mapped[str] = mapped_column("login")
    database: Mapped[str] = mapped_column("dbname")
    options: Mapped[Document]
    sealed_password: Mapped[str]
    tags: Mapped[list[str]]
    spec: Mapped[Document]
    created: Mapped[int]
    updated: Mapped[int]
    deleted: Mapped[int | None]
    __table_args__ = (
        Index(
            "addons_living",
            "project_pk",
            "id",
            unique=True,
            sqlite_where=text("deleted IS NULL"),
            postgresql_where=text("deleted IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class AddonEvent(Table):
    """What happened to an addon's version, oldest first."""

    __tablename__ = "addon_events"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), index=True)
    old_version: Mapped[str]
    new_version: Mapped[str]
    created: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Destination(Table):
    """`options` are the driver's settings without secrets; those are in `sealed_secret`."""

    __tablename__ = "destinations"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(110))
    name: Mapped[str]
    description: Mapped[str | None]
    kind: Mapped[str] = mapped_column(String(40))
    prefix: Mapped[str]
    options: Mapped[Document]
    sealed_secret: Mapped[str]
    created: Mapped[int]
    updated: Mapped[int]
    deleted: Mapped[int | None]
    __table_args__ = (
        Index(
            "destinations_living",
            "id",
            unique=True,
            sqlite_where=text("deleted IS NULL"),
            postgresql_where=text("deleted IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Operation(Table):
    """One long work and who may do it.

    `slot` is 1 from dispatch to end and unique per addon: the database itself keeps a second
    operation out. `fence` counts dispatches: who holds an older one changes nothing.
    """

    __tablename__ = "operations"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    kind: Mapped[str] = mapped_column(String(20))
    lane: Mapped[str] = mapped_column(String(60))
    priority: Mapped[int]
    status: Mapped[str] = mapped_column(String(20))
    slot: Mapped[int | None]
    fence: Mapped[int]
    attempt: Mapped[int]
    worker: Mapped[str | None]
    arguments: Mapped[Document]
    step: Mapped[str | None]
    record: Mapped[Document]
    progress: Mapped[Document | None]
    error_code: Mapped[str | None]
    reason: Mapped[str | None]
    litter: Mapped[bool] = mapped_column(default=False)
    created: Mapped[int]
    started: Mapped[int | None]
    ended: Mapped[int | None]
    __table_args__ = (
        Index(
            "operations_one_at_a_time",
            "addon_pk",
            unique=True,
            sqlite_where=text("slot = 1"),
            postgresql_where=text("slot = 1"),
        ),
        Index("operations_of_addon", "addon_pk", "status"),
        Index("operations_by_status", "status"),
        {"sqlite_autoincrement": True},
    )


class Backup(Table):
    """`destination_pk` None means the platform store; `objects` is the proven attempt's prefix."""

    __tablename__ = "backups"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    id: Mapped[str] = mapped_column(String(60))
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(20))
    compression: Mapped[str | None] = mapped_column(String(10))
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"), index=True)
    additional: Mapped[Document | None]
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None]
    size: Mapped[int]
    version: Mapped[str]
    retained: Mapped[bool]
    objects: Mapped[str | None]
    evidence: Mapped[Document | None] = mapped_column(deferred=True)  # large: not for lists
    operation: Mapped[str | None] = mapped_column(String(24), index=True)
    created: Mapped[int]
    completed: Mapped[int | None]
    deleted: Mapped[int | None]
    __table_args__ = (
        Index("backups_by_slug", "addon_pk", "id", unique=True),
        Index("backups_newest_first", "addon_pk", "pk"),
        {"sqlite_autoincrement": True},
    )


class Restore(Table):
    __tablename__ = "restores"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    backup_pk: Mapped[int] = mapped_column(ForeignKey("backups.pk"), index=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), index=True)
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None]
    report: Mapped[Document | None]
    operation: Mapped[str] = mapped_column(String(24), index=True)
    created: Mapped[int]
    completed: Mapped[int | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Line(Table):
    """One line of an operation's log."""

    __tablename__ = "journal"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    operation: Mapped[str] = mapped_column(String(24))
    at: Mapped[int]
    text: Mapped[str]
    __table_args__ = (
        Index("journal_of_operation", "operation", "pk"),
        {"sqlite_autoincrement": True},
    )


class Worker(Table):
    """A living worker; `seen` is written and judged by the database's clock."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(60), primary_key=True)
    node: Mapped[str] = mapped_column(String(60))
    seen: Mapped[int]


class Replay(Table):
    """The answer to a POST, given again when the same token repeats it within the window."""

    __tablename__ = "replays"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    at: Mapped[int]
    answer: Mapped[Document | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Deletion(Table):
    """Objects on their way out: a prefix, why, and how often removing it failed."""

    __tablename__ = "deletions"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"))
    prefix: Mapped[str]
    reason: Mapped[str]
    created: Mapped[int]
    tries: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None]
    done: Mapped[int | None]
    __table_args__ = ({"sqlite_autoincrement": True},)
