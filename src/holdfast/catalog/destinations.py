"""Destination rows, and the one way from a row to a driver's options."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import or_, select

from holdfast.catalog import projects
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Destination
from holdfast.domain.access import Caller, Possession
from holdfast.kit.seal import Sealer


def context(destination_id: str) -> str:
    """The sealing context of a destination's secret key."""
    return f"destination {destination_id}"


def options(destination: Destination, sealer: Sealer) -> dict[str, Any]:
    """The driver's settings, the secret among them as a Secret."""
    secret = sealer.open(destination.sealed_secret, context(destination.id))
    return {**destination.options, "prefix": destination.prefix, "secret_key": secret}


SETTINGS = ("max_parts", "equal_parts", "checksum", "addressing")
"""Options that depend on the destination's service; probing finds them out."""


def is_settled(destination: Destination) -> bool:
    """Whether its `SETTINGS` are known, from a probe or from the owner."""
    return "equal_parts" in destination.options


def address_of(destination: Destination) -> str:
    """Where its objects are: equal texts mean the same store."""
    named = [str(destination.options.get(name, "")) for name in ("endpoint", "bucket_name")]
    return "/".join([*named, destination.prefix])


def address_at(session: ReadSession, pk: int | None) -> str | None:
    """The address of a destination by key; None for the platform store, which has no row."""
    return None if pk is None else address_of(get(session, pk))


def get(session: ReadSession, pk: int) -> Destination:
    return session.get_one(Destination, pk)


def find(session: ReadSession, key: str) -> Destination | None:
    """The living destination of that id, else of that exact name, which the official CLI sends."""
    living = select(Destination).where(
        Destination.deleted.is_(None), or_(Destination.id == key, Destination.name == key)
    )
    return session.scalars(living.order_by(Destination.id != key)).first()


def possession(destination: Destination) -> Possession:
    granted = destination.granted
    return Possession(destination.project_pk, None if granted is None else frozenset(granted))


def is_visible(session: ReadSession, caller: Caller, destination: Destination) -> bool:
    """Whether a project that the caller sees may use it."""
    if caller.projects is None:
        return True
    ownership = possession(destination)
    return any(ownership.usable_by(pk) for pk in projects.keys_of(session, caller.projects))


def ids_of(session: ReadSession, pks: Collection[int]) -> dict[int, str]:
    if not pks:
        return {}
    rows = session.execute(select(Destination.pk, Destination.id).where(Destination.pk.in_(pks)))
    return {row.pk: row.id for row in rows}


def listed(session: ReadSession, caller: Caller, page: Page) -> Slice[Destination]:
    """One page of the destinations visible to the caller."""
    rows = select(Destination).where(Destination.deleted.is_(None))
    if caller.projects is not None:
        visible = [row.pk for row in living(session) if is_visible(session, caller, row)]
        rows = rows.where(Destination.pk.in_(visible))
    return take(session, rows, Destination.pk, page, "destinations")


def of_project(session: ReadSession, project_pk: int) -> list[Destination]:
    """The living destinations that the project owns."""
    return [row for row in living(session) if row.project_pk == project_pk]


def living(session: ReadSession) -> list[Destination]:
    rows = select(Destination).where(Destination.deleted.is_(None))
    return list(session.scalars(rows.order_by(Destination.pk)))
