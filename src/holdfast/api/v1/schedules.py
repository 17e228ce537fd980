"""Schedule routes: list, create, delete; as extensions get, patch, pause, resume, occurrences,
history, why."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import WithJsonSchema
from starlette.responses import Response

from holdfast.api.places import AddonPath, AtAddon, Paging
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Schedule
from holdfast.catalog.work import occurrences
from holdfast.catalog.work import schedules as rows
from holdfast.domain.access import Caller
from holdfast.domain.errors import Invalid, NotFound
from holdfast.http import answers
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.kit.clock import parse_rfc3339
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import ScheduleForm, SchedulePatch, SchedulePauseForm
from holdfast.usecases.schedules import schedules as verbs
from holdfast.views import schedules as views
from holdfast.views.explanations import explain
from holdfast.views.shapes.base import Empty, Many, One
from holdfast.views.shapes.schedules import (
    Explanation,
    OccurrenceList,
    ScheduleList,
    ScheduleMade,
    ScheduleView,
    UpcomingList,
)

router = APIRouter(tags=["backup schedules"], route_class=ReadRoute)

SCHEDULES = f"{ADDON}/backup-schedules"
SCHEDULE = f"{SCHEDULES}/{{schedule_id}}"

_MAX_INSTANT_MS = parse_rfc3339("9000-01-01")
_AT = WithJsonSchema({"type": "string", "format": "date-time"})


class SchedulePath(AddonPath):
    """The schedule that the path names."""

    def __init__(self, project_id: str, addon_id: str, schedule_id: str) -> None:
        super().__init__(project_id, addon_id)
        self.schedule_id = schedule_id

    def schedule(self, session: ReadSession, caller: Caller) -> Schedule:
        return self._checked(rows.find(session, self.addon(session, caller).pk, self.schedule_id))

    def ever(self, session: ReadSession, caller: Caller) -> Schedule:
        """Returns the schedule even if it was deleted: its history stays readable."""
        addon = self.addon(session, caller)
        return self._checked(rows.find_ever(session, addon.pk, self.schedule_id))

    def _checked(self, schedule: Schedule | None) -> Schedule:
        if schedule is None:
            raise NotFound(
                f"there is no backup schedule {self.schedule_id!r} of addon {self.addon_id!r}"
            )
        return schedule


async def schedule_path(project_id: str, addon_id: str, schedule_id: str) -> SchedulePath:
    return SchedulePath(project_id, addon_id, schedule_id)


AtSchedule = Annotated[SchedulePath, Depends(schedule_path)]


@router.get(SCHEDULES, response_model=Many[ScheduleList])
@in_turn
def list_schedules(api: State, caller: Reader, page: Paging, at: AtAddon) -> Response:
    """All schedules on one page: an addon has six at most, and the v1 API has no cursor here."""
    if page.cursor is not None:
        problem = "is not a cursor of this list, which has one page"
        raise Invalid(f"the cursor {problem}", {"cursor": problem})
    with api.catalog.read() as session:
        listed = rows.of_addon(session, at.addon(session, caller).pk)
        items = views.views(session, listed if page.number == 1 else [])
    return answers.many(ScheduleList(schedules=items), len(items), None)


@router.post(SCHEDULES, response_model=One[ScheduleMade])
def create_schedule(writing: Writing, caller: Updater, at: AtAddon, form: ScheduleForm) -> Response:
    def create(context: Context) -> ScheduleMade:
        schedule = verbs.create(context, at.addon(context.session, caller), form)
        return ScheduleMade(id=schedule.id)

    return writing.create(caller, create)


@router.get(SCHEDULE, response_model=One[ScheduleView])
@in_turn
def get_schedule(api: State, caller: Reader, at: AtSchedule) -> Response:
    """Extension: one schedule."""
    with api.catalog.read() as session:
        return answers.one(views.views(session, [at.schedule(session, caller)])[0])


@router.patch(SCHEDULE, response_model=One[ScheduleView])
def patch_schedule(
    writing: Writing, caller: Updater, at: AtSchedule, form: SchedulePatch
) -> Response:
    """Extension: another retention, for backups from now on. The rest cannot be changed."""

    def patch(context: Context) -> ScheduleView:
        schedule = at.schedule(context.session, caller)
        verbs.patch(context, schedule, form)
        return views.views(context.session, [schedule])[0]

    return writing.change(caller, patch)


@router.post(f"{SCHEDULE}/pause", response_model=One[ScheduleView])
def pause_schedule(
    writing: Writing, caller: Updater, at: AtSchedule, form: SchedulePauseForm
) -> Response:
    """Extension: fires nothing of the schedule until it is resumed; its addon keeps the others."""

    def pause(context: Context) -> ScheduleView:
        schedule = at.schedule(context.session, caller)
        verbs.pause(context, schedule, form.reason)
        return views.views(context.session, [schedule])[0]

    return writing.change(caller, pause)


@router.post(f"{SCHEDULE}/resume", response_model=One[ScheduleView])
def resume_schedule(writing: Writing, caller: Updater, at: AtSchedule) -> Response:
    """Extension: fires the schedule from its next instant on."""

    def resume(context: Context) -> ScheduleView:
        schedule = at.schedule(context.session, caller)
        verbs.resume(context, schedule)
        return views.views(context.session, [schedule])[0]

    return writing.change(caller, resume)


@router.delete(SCHEDULE, response_model=One[Empty])
def delete_schedule(writing: Writing, caller: Updater, at: AtSchedule) -> Response:
    """Deletes the schedule; its backups stay, and expire as before."""
    return writing.undo(
        caller, lambda context: verbs.delete(context, at.schedule(context.session, caller))
    )


@router.get(f"{SCHEDULE}/occurrences", response_model=One[UpcomingList])
@in_turn
def list_upcoming(
    api: State,
    caller: Reader,
    at: AtSchedule,
    count: Annotated[
        int, Query(alias="next", ge=1, le=1000, description="how many of the next instants")
    ] = 10,
) -> Response:
    """Extension: the schedule's next instants, in UTC."""
    with api.catalog.read() as session:
        schedule = at.schedule(session, caller)
        return answers.one(
            UpcomingList(occurrences=views.upcoming_of(schedule, api.clock.now(), count))
        )


@router.get(f"{SCHEDULE}/history", response_model=Many[OccurrenceList])
@in_turn
def list_history(api: State, caller: Reader, page: Paging, at: AtSchedule) -> Response:
    """Extension: the outcomes of its instants, the latest first; also of a deleted schedule."""
    with api.catalog.read() as session:
        listed = occurrences.listed(session, at.ever(session, caller), page)
        items = views.history(session, listed.items)
    return answers.many(OccurrenceList(occurrences=items), len(items), listed.cursor)


@router.get(f"{SCHEDULE}/why", response_model=One[Explanation])
def explain_instant(
    api: State,
    caller: Reader,
    at: AtSchedule,
    instant: Annotated[str, _AT, Query(alias="at", description="an RFC 3339 instant")],
) -> Response:
    """Extension: why there was a backup at an instant, or why not; also of a deleted schedule."""
    try:
        instant_ms = parse_rfc3339(instant)
    except (ValueError, OverflowError):
        instant_ms = -1
    if not 0 <= instant_ms < _MAX_INSTANT_MS:
        problem = "must be an instant after 1970, such as 2026-11-21T03:00:00Z"
        raise Invalid(f"at {problem}", {"at": problem})
    with api.catalog.read() as session:
        schedule = at.ever(session, caller)
        return answers.one(explain(session, schedule, instant_ms, api.clock.now()))
