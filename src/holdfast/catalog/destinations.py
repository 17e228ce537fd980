"""Destination rows, and the one way from a row to a driver's options."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import or_, select

from holdfast.catalog.page import Page, Slice, take
from holdfast.catalog.schema import Destination
from holdfast.catalog.session import ReadSession
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


def ids_of(session: ReadSession, pks: Collection[int]) -> dict[int, str]:
    if not pks:
        return {}
    rows = session.execute(select(Destination.pk, Destination.id).where(Destination.pk.in_(pks)))
    return {row.pk: row.id for row in rows}


def listed(session: ReadSession, page: Page) -> Slice[Destination]:
    living = select(Destination).where(Destination.deleted.is_(None))
    return take(session, living, Destination.pk, page, "destinations")


def living(session: ReadSession) -> list[Destination]:
    rows = select(Destination).where(Destination.deleted.is_(None))
    return list(session.scalars(rows.order_by(Destination.pk)))
