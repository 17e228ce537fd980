"""S1 to S3, and our extensions: one schedule, its retention, what comes, what was, and why."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import WithJsonSchema
from starlette.responses import Response

from holdfast.api.places import AddonPath, AtAddon, Paging
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
from holdfast.usecases.forms.forms import ScheduleForm, SchedulePatch
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

router = APIRouter(tags=["backup schedules"])

SCHEDULES = f"{ADDON}/backup-schedules"
SCHEDULE = f"{SCHEDULES}/{{schedule_id}}"

_LATEST = parse_rfc3339("9000-01-01")
_AT = WithJsonSchema({"type": "string", "format": "date-time"})


class SchedulePath(AddonPath):
    """The schedule that the path names."""

    def __init__(self, project_id: str, addon_id: str, schedule_id: str) -> None:
        super().__init__(project_id, addon_id)
        self.schedule_id = schedule_id

    def schedule(self, session: ReadSession, caller: Caller) -> Schedule:
        return self._found(rows.find(session, self.addon(session, caller).pk, self.schedule_id))

    def ever(self, session: ReadSession, caller: Caller) -> Schedule:
        """Also one that was deleted: its past can still be asked for."""
        addon = self.addon(session, caller)
        return self._found(rows.find_ever(session, addon.pk, self.schedule_id))

    def _found(self, schedule: Schedule | None) -> Schedule:
        if schedule is None:
            raise NotFound(
                f"there is no backup schedule {self.schedule_id!r} of addon {self.addon_id!r}"
            )
        return schedule


async def _at_schedule(project_id: str, addon_id: str, schedule_id: str) -> SchedulePath:
    return SchedulePath(project_id, addon_id, schedule_id)


AtSchedule = Annotated[SchedulePath, Depends(_at_schedule)]


@router.get(SCHEDULES, response_model=Many[ScheduleList])
@in_turn
def list_schedules(api: State, caller: Reader, page: Paging, at: AtAddon) -> Response:
    """All on one page: an addon has six at most. The reference has no cursor here."""
    if page.cursor is not None:
        problem = "is not a cursor of this list, which has one page"
        raise Invalid(f"the cursor {problem}", {"cursor": problem})
    with api.catalog.read() as session:
        found = rows.of_addon(session, at.addon(session, caller).pk)
        items = views.views(session, found if page.number == 1 else [])
    return answers.many(ScheduleList(schedules=items), len(items), None)


@router.post(SCHEDULES, response_model=One[ScheduleMade])
def create_schedule(writing: Writing, caller: Updater, at: AtAddon, form: ScheduleForm) -> Response:
    def create(context: Context) -> ScheduleMade:
        made = verbs.create(context, at.addon(context.session, caller), form)
        return ScheduleMade(id=made.id)

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


@router.delete(SCHEDULE, response_model=One[Empty])
def delete_schedule(writing: Writing, caller: Updater, at: AtSchedule) -> Response:
    """Its backups stay, and expire as they would have."""
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
    """Extension: when the schedule is due next, in UTC."""
    with api.catalog.read() as session:
        schedule = at.schedule(session, caller)
        return answers.one(
            UpcomingList(occurrences=views.upcoming_of(schedule, api.clock.now(), count))
        )


@router.get(f"{SCHEDULE}/history", response_model=Many[OccurrenceList])
@in_turn
def list_history(api: State, caller: Reader, page: Paging, at: AtSchedule) -> Response:
    """Extension: what became of its instants, the latest first; also of a deleted schedule."""
    with api.catalog.read() as session:
        found = occurrences.listed(session, at.ever(session, caller), page)
        items = views.history(session, found.items)
    return answers.many(OccurrenceList(occurrences=items), len(items), found.cursor)


@router.get(f"{SCHEDULE}/why", response_model=One[Explanation])
def explain_instant(
    api: State,
    caller: Reader,
    at: AtSchedule,
    instant: Annotated[str, _AT, Query(alias="at", description="an RFC 3339 instant")],
) -> Response:
    """Extension: why there was a backup at an instant, or why not; also of a deleted schedule."""
    asked = _instant(instant)
    with api.catalog.read() as session:
        schedule = at.ever(session, caller)
        return answers.one(explain(session, schedule, asked, api.clock.now()))


def _instant(text: str) -> int:
    try:
        instant = parse_rfc3339(text)
    except (ValueError, OverflowError):
        instant = -1
    if not 0 <= instant < _LATEST:
        problem = "must be an instant after 1970, such as 2026-11-21T03:00:00Z"
        raise Invalid(f"at {problem}", {"at": problem})
    return instant
