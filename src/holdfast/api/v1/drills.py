"""Extension: drills, which restore backups into throwaway servers to prove that they do."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast.api.logging_query import DESCRIBED
from holdfast.api.places import AddonPath, AtAddon, BackupPath, Paging
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.api.v1.logs import Query, Viewer, operation_log
from holdfast.catalog import drills as rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Drill
from holdfast.contracts.drills import Assertion
from holdfast.domain.access import Caller
from holdfast.domain.errors import NotFound
from holdfast.domain.proof.drill import Plan
from holdfast.http import answers
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases.archiving import recovery
from holdfast.usecases.context import Context
from holdfast.usecases.forms.archives import RecoveryForm
from holdfast.usecases.forms.drills import AssertionsForm, DrillForm, DrillPlanForm, OpinionForm
from holdfast.usecases.protection import drills as verbs
from holdfast.views.protection import drills as views
from holdfast.views.shapes.base import Empty, Many, One
from holdfast.views.shapes.drills import (
    AssertionList,
    DrillList,
    DrillPlanView,
    DrillServer,
    DrillStarted,
    DrillView,
)
from holdfast.views.shapes.others import LogLine

router = APIRouter(tags=["drills"], route_class=ReadRoute)

DRILL = f"{ADDON}/drills/{{drill_id}}"


class DrillPath(AddonPath):
    """The drill that the path names."""

    def __init__(self, project_id: str, addon_id: str, drill_id: str) -> None:
        super().__init__(project_id, addon_id)
        self.drill_id = drill_id

    def drill(self, session: ReadSession, caller: Caller) -> Drill:
        drill = rows.find(session, self.addon_pk(session, caller), self.drill_id)
        if drill is None:
            raise NotFound(f"there is no drill {self.drill_id!r} of addon {self.addon_id!r}")
        return drill


async def drill_path(project_id: str, addon_id: str, drill_id: str) -> DrillPath:
    return DrillPath(project_id, addon_id, drill_id)


AtDrill = Annotated[DrillPath, Depends(drill_path)]


@router.post(f"{ADDON}/drills", response_model=One[DrillStarted])
def start_drill(
    api: State, writing: Writing, caller: Updater, at: AtAddon, form: DrillForm
) -> Response:
    """Restores a backup, or a moment, into a throwaway server of its own, beside all other work."""

    def start(context: Context) -> DrillStarted:
        addon = at.addon(context.session, caller)
        point = None
        if form.target_timestamp is not None:
            moment = RecoveryForm.model_validate({"targetTimestamp": form.target_timestamp})
            point = recovery.plan(context.session, api.engines(addon.kind), addon, moment)
        elif form.backup_id is not None:
            path = BackupPath(at.project_id, at.addon_id, form.backup_id)
            point = path.backup(context.session, caller)
        started = verbs.start(context, addon, point, form.keep_minutes)
        return DrillStarted(drill_id=started.id)

    return writing.create(caller, start)


@router.get(f"{ADDON}/drills", response_model=Many[DrillList])
@in_turn
def list_drills(api: State, caller: Reader, page: Paging, at: AtAddon) -> Response:
    """The drills of an addon, newest first."""
    with api.catalog.read() as session:
        listed = rows.of_addon(session, at.addon(session, caller), page)
        items = views.views(session, listed.items)
    return answers.many(DrillList(drills=items), len(items), listed.cursor)


@router.get(DRILL, response_model=One[DrillView])
@in_turn
def get_drill(api: State, caller: Reader, at: AtDrill) -> Response:
    with api.catalog.read() as session:
        return answers.one(views.views(session, [at.drill(session, caller)])[0])


@router.get(f"{DRILL}/server", response_model=One[DrillServer])
@in_turn
def get_drill_server(api: State, caller: Updater, at: AtDrill) -> Response:
    """How to reach the server that a drill keeps."""
    with api.catalog.read() as session:
        return answers.one(views.server(at.drill(session, caller), api.services.sealer))


@router.get(f"{DRILL}/logs", response_model=Many[list[LogLine]], openapi_extra=DESCRIBED)
def drill_logs(api: State, caller: Viewer, query: Query, at: AtDrill) -> Response:
    with api.catalog.read() as session:
        return operation_log(session, at.drill(session, caller).operation, query)


@router.post(f"{DRILL}/abort", response_model=One[Empty])
def abort_drill(writing: Writing, caller: Updater, at: AtDrill) -> Response:
    return writing.undo(
        caller, lambda context: verbs.abort(context, at.drill(context.session, caller))
    )


@router.post(f"{DRILL}/release", response_model=One[Empty])
def release_drill(writing: Writing, caller: Updater, at: AtDrill) -> Response:
    """Gives the kept server up before its time."""
    return writing.undo(
        caller, lambda context: verbs.release(context, at.drill(context.session, caller))
    )


@router.post(f"{DRILL}/opinions", response_model=One[Empty])
def give_opinion(writing: Writing, caller: Updater, at: AtDrill, form: OpinionForm) -> Response:
    """Adds what a person or a script found out about the restored server."""

    def give(context: Context) -> None:
        drill = at.drill(context.session, caller)
        verbs.give_opinion(context, drill, passed=form.passed, note=form.note)

    return writing.change(caller, give)


@router.get(f"{ADDON}/drill-plan", response_model=One[DrillPlanView])
@in_turn
def get_drill_plan(api: State, caller: Reader, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        return answers.one(views.plan(rows.plan_of(session, at.addon_pk(session, caller))))


@router.put(f"{ADDON}/drill-plan", response_model=One[DrillPlanView])
def put_drill_plan(writing: Writing, caller: Updater, at: AtAddon, form: DrillPlanForm) -> Response:
    """Says which drills an addon has by itself; what is left out goes back to the default."""

    def put(context: Context) -> DrillPlanView:
        plan = Plan(form.scheduled, form.after_backup, form.compare_content)
        verbs.put_plan(context, at.addon(context.session, caller), plan)
        return views.plan(plan)

    return writing.change(caller, put)


@router.get(f"{ADDON}/assertions", response_model=One[AssertionList])
@in_turn
def get_assertions(api: State, caller: Reader, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        stored = rows.assertions_of(session, at.addon_pk(session, caller))
        return answers.one(views.assertions(stored))


@router.put(f"{ADDON}/assertions", response_model=One[AssertionList])
def put_assertions(
    writing: Writing, caller: Updater, at: AtAddon, form: AssertionsForm
) -> Response:
    """Replaces the questions that every drill of the addon asks."""

    def put(context: Context) -> AssertionList:
        assertions = [
            Assertion(each.name, each.text, each.seconds, each.database) for each in form.assertions
        ]
        verbs.put_assertions(context, at.addon(context.session, caller), assertions)
        return views.assertions(assertions)

    return writing.change(caller, put)
