"""What was promised for addons, projects and the installation."""

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import select

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import ObjectiveRow
from holdfast.domain.protection import Objective

Scope = tuple[int | None, int | None]
"""Keys of a project and an addon of it. The addon None: all of the project; both: all there are."""

_NOTHING = Objective()


def of_all(session: ReadSession) -> dict[Scope, Objective]:
    """All that were set, by the keys of project and addon; both None: the installation's."""
    return {
        (row.project_pk, row.addon_pk): Objective(
            row.max_age_ms, row.max_restore_ms, row.proof_ms, row.places
        )
        for row in session.scalars(select(ObjectiveRow))
    }


def effective(chosen: Mapping[Scope, Objective], project_pk: int, addon_pk: int) -> Objective:
    """The addon's own, then its project's, then the installation's."""
    objective = _NOTHING
    for scope in ((project_pk, addon_pk), (project_pk, None), (None, None)):
        wider = chosen.get(scope)
        if wider is not None:  # mostly none is set, and thousands of addons are asked about at once
            objective = wider if objective is _NOTHING else objective.over(wider)
    return objective


def put(session: WriteSession, scope: Scope, objective: Objective, now: int) -> None:
    """One that leaves everything open is taken back, so that the wider scope's counts."""
    project_pk, addon_pk = scope
    name = f"{project_pk or 'all'}/{addon_pk or 'all'}"
    row = session.scalar(select(ObjectiveRow).where(ObjectiveRow.scope == name))
    if objective == Objective():
        if row is not None:
            session.delete(row)
        return
    if row is None:
        row = ObjectiveRow(scope=name, project_pk=project_pk, addon_pk=addon_pk)
        session.add(row)
    for field, value in asdict(objective).items():
        setattr(row, field, value)
    row.updated = now
