"""Project rows."""

from collections.abc import Collection

from sqlalchemy import bindparam, select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Project
from holdfast.domain.access import Caller


def find(session: ReadSession, project_id: str) -> Project | None:
    """The living project of that id."""
    return session.scalar(_LIVING, {"id": project_id})


_LIVING = select(Project).where(Project.id == bindparam("id"), Project.deleted.is_(None))


def get(session: ReadSession, pk: int) -> Project:
    return session.get_one(Project, pk)


def keys_of(session: ReadSession, ids: Collection[str]) -> dict[int, str]:
    """Key to id of the living projects among these ids."""
    named = select(Project.pk, Project.id).where(Project.id.in_(ids), Project.deleted.is_(None))
    return {row.pk: row.id for row in session.execute(named)}


def listed(session: ReadSession, caller: Caller, page: Page) -> Slice[Project]:
    living = select(Project).where(Project.deleted.is_(None))
    if caller.projects is not None:
        living = living.where(Project.id.in_(caller.projects))
    return take(session, living, Project.pk, page, "projects")


def by_pk(session: ReadSession, pks: Collection[int]) -> dict[int, Project]:
    """Projects by key, deleted ones included."""
    return {row.pk: row for row in session.scalars(select(Project).where(Project.pk.in_(pks)))}


def living_ids(session: ReadSession) -> dict[int, str]:
    """Of every living project, by key."""
    rows = select(Project.pk, Project.id).where(Project.deleted.is_(None))
    return dict(session.execute(rows).all())


def names_of(session: ReadSession, pks: Collection[int]) -> dict[str, str]:
    """Names of projects by their id."""
    rows = select(Project.id, Project.name).where(Project.pk.in_(pks))
    return dict(session.execute(rows).all())
