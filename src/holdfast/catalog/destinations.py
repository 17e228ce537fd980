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
    """What a destination's secret key is sealed for."""
    return f"destination {destination_id}"


def options(destination: Destination, sealer: Sealer) -> dict[str, Any]:
    """The driver's settings, the secret among them as a Secret."""
    secret = sealer.open(destination.sealed_secret, context(destination.id))
    return {**destination.options, "prefix": destination.prefix, "secret_key": secret}


SETTINGS = ("max_parts", "equal_parts", "checksum", "addressing")
"""How the service of a destination wants to be spoken to."""


def is_settled(destination: Destination) -> bool:
    """Was that found out, or said?"""
    return "equal_parts" in destination.options


def place_of(destination: Destination) -> str:
    """Where its objects are: the same text is the same store."""
    named = [str(destination.options.get(name, "")) for name in ("endpoint", "bucket_name")]
    return "/".join([*named, destination.prefix])


def place_at(session: ReadSession, pk: int | None) -> str | None:
    """The same by key. None: the platform's own store, which the catalogue does not know."""
    return None if pk is None else place_of(get(session, pk))


def get(session: ReadSession, pk: int) -> Destination:
    return session.get_one(Destination, pk)


def find(session: ReadSession, key: str) -> Destination | None:
    """By id, else by exact name: the official CLI's picker sends the name."""
    living = select(Destination).where(
        Destination.deleted.is_(None), or_(Destination.id == key, Destination.name == key)
    )
    return session.scalars(living.order_by(Destination.id != key)).first()


def possession(destination: Destination) -> Possession:
    granted = destination.granted
    return Possession(destination.project_pk, None if granted is None else frozenset(granted))


def is_visible(session: ReadSession, caller: Caller, destination: Destination) -> bool:
    """Whether a project of the caller's may use it."""
    if caller.projects is None:
        return True
    whose = possession(destination)
    return any(whose.usable_by(pk) for pk in projects.keys_of(session, caller.projects))


def ids_of(session: ReadSession, pks: Collection[int]) -> dict[int, str]:
    if not pks:
        return {}
    rows = session.execute(select(Destination.pk, Destination.id).where(Destination.pk.in_(pks)))
    return {row.pk: row.id for row in rows}


def listed(session: ReadSession, caller: Caller, page: Page) -> Slice[Destination]:
    """Those that the caller may know of."""
    rows = select(Destination).where(Destination.deleted.is_(None))
    if caller.projects is not None:
        visible = [row.pk for row in living(session) if is_visible(session, caller, row)]
        rows = rows.where(Destination.pk.in_(visible))
    return take(session, rows, Destination.pk, page, "destinations")


def of_project(session: ReadSession, project_pk: int) -> list[Destination]:
    """The living ones that it owns."""
    return [row for row in living(session) if row.project_pk == project_pk]


def living(session: ReadSession) -> list[Destination]:
    rows = select(Destination).where(Destination.deleted.is_(None))
    return list(session.scalars(rows.order_by(Destination.pk)))
