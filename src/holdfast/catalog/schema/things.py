"""Tables of projects, addons and destinations, whose rows other rows may outlive."""

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


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
    """`host` .. `sealed_password` say how to reach it; `node` is the machine of a managed one, and
    `server_uid` the user of that machine that its server runs as, until its files are gone."""

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
    server_uid: Mapped[int | None]
    created: Mapped[int]
    updated: Mapped[int]
    deleted: Mapped[int | None]
    __table_args__ = (
        Index("addons_server_uids", "node", "server_uid", unique=True),
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
    """One upgrade of an addon."""

    __tablename__ = "addon_events"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"), index=True)
    old_version: Mapped[str]
    new_version: Mapped[str]
    created: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Destination(Table):
    """`options` are the driver's settings without secrets; those are in `sealed_secret`.

    `project_pk` owns it, None: the installation. `granted` are keys of projects that may use it
    beside the owner; None: every project where the installation owns it, no other where one does.
    """

    __tablename__ = "destinations"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(110))
    name: Mapped[str]
    description: Mapped[str | None]
    kind: Mapped[str] = mapped_column(String(40))
    prefix: Mapped[str]
    options: Mapped[Document]
    sealed_secret: Mapped[str]
    project_pk: Mapped[int | None]
    granted: Mapped[list[int] | None]
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
