"""Addon rows, and the addresses they hold."""

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import bindparam, select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, AddonEvent, Project
from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import ADMIN, Login
from holdfast.domain.addon import Desired
from holdfast.domain.operation import ANY_LANE
from holdfast.kit.seal import Sealer


def context(addon_uid: str) -> str:
    """The sealing context of an addon's password."""
    return f"addon {addon_uid}"


def admin(addon_uid: str, sealer: Sealer) -> Login:
    """Holdfast's own administrator on a managed server."""
    return Login(ADMIN, sealer.derive(f"administrator of addon {addon_uid}"))


def working_address(addon: Addon, sealer: Sealer) -> Address:
    """The address Holdfast works with: its own administrator's if the server is managed."""
    owner_address = address(addon, sealer)
    if not addon.managed:
        return owner_address
    login = admin(addon.uid, sealer)
    return replace(
        owner_address, user=login.user, password=login.password, owner=owner_address.user
    )


def address(addon: Addon, sealer: Sealer) -> Address:
    """The address an addon's owner connects with."""
    return Address(
        host=addon.host,
        port=addon.port,
        user=addon.user,
        password=sealer.open(addon.sealed_password, context(addon.uid)),
        database=addon.database,
        options=addon.options,
    )


def lane(addon: Addon) -> str:
    """The queue lane of an addon's work: its own machine's if it is bound to one."""
    return addon.node or ANY_LANE


def find(session: ReadSession, project_pk: int, addon_id: str) -> Addon | None:
    """The living addon of that id."""
    return session.scalar(_LIVING, {"project_pk": project_pk, "id": addon_id})


_LIVING = select(Addon).where(
    Addon.project_pk == bindparam("project_pk"),
    Addon.id == bindparam("id"),
    Addon.deleted.is_(None),
)


def at(session: ReadSession, project_id: str, addon_id: str) -> tuple[Project, Addon] | None:
    """The living addon of that id in the living project of that id."""
    row = session.execute(_AT, {"project_id": project_id, "id": addon_id}).first()
    return None if row is None else (row[0], row[1])


def pk_at(session: ReadSession, project_id: str, addon_id: str) -> int | None:
    """The key of the addon that `at` finds, for half of the work."""
    result = session.connection().execute(_PK_AT, {"project_id": project_id, "id": addon_id})
    return result.scalar()


_AT = (
    select(Project, Addon)
    .join(Addon, Addon.project_pk == Project.pk)
    .where(Project.id == bindparam("project_id"), Project.deleted.is_(None))
    .where(Addon.id == bindparam("id"), Addon.deleted.is_(None))
)
_PK_AT = _AT.with_only_columns(Addon.pk)


def find_origin(session: ReadSession, project_id: str, addon_id: str) -> list[Addon]:
    """Addons that ever had this id, the living one first, then the latest deleted."""
    named = (
        select(Addon)
        .join(Project, Project.pk == Addon.project_pk)
        .where(Project.id == project_id, Addon.id == addon_id)
        .order_by(Addon.deleted.is_not(None), Addon.pk.desc())
    )
    return list(session.scalars(named))


def get(session: ReadSession, pk: int) -> Addon:
    return session.get_one(Addon, pk)


def of_project(session: ReadSession, project_pk: int) -> list[Addon]:
    living = select(Addon).where(Addon.project_pk == project_pk, Addon.deleted.is_(None))
    return list(session.scalars(living.order_by(Addon.pk)))


def hosted_here(session: ReadSession, node: str, desired: Collection[Desired]) -> list[Addon]:
    """Managed addons whose server belongs on this node."""
    return list(
        session.scalars(
            select(Addon).where(
                Addon.managed.is_(True),
                Addon.node == node,
                Addon.desired.in_(desired),
                Addon.deleted.is_(None),
            )
        )
    )


def taken_uids(session: ReadSession, node: str) -> set[int]:
    """Uids of that machine that servers have, or whose files are still there."""
    rows = select(Addon.server_uid).where(Addon.node == node, Addon.server_uid.is_not(None))
    return {uid for uid in session.scalars(rows) if uid is not None}


def has_foreign_neighbours(session: ReadSession, node: str, addon: Addon) -> bool:
    """Whether other projects have managed servers on this machine."""
    others = select(Addon.pk).where(
        Addon.managed.is_(True),
        Addon.node == node,
        Addon.deleted.is_(None),
        Addon.project_pk != addon.project_pk,
    )
    return session.scalars(others.limit(1)).first() is not None


def events(session: ReadSession, addon_pk: int) -> list[AddonEvent]:
    return list(
        session.scalars(
            select(AddonEvent).where(AddonEvent.addon_pk == addon_pk).order_by(AddonEvent.pk)
        )
    )


def listed(session: ReadSession, project: Project, page: Page) -> Slice[Addon]:
    living = select(Addon).where(Addon.project_pk == project.pk, Addon.deleted.is_(None))
    return take(session, living, Addon.pk, page, f"addons of {project.pk}")


def by_pk(session: ReadSession, pks: Collection[int]) -> dict[int, Addon]:
    """Addons by key, deleted ones included."""
    return {row.pk: row for row in session.scalars(select(Addon).where(Addon.pk.in_(pks)))}
