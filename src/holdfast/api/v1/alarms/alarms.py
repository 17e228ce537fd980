"""Alarm routes (extension): what is wrong, and what people do about it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from holdfast.api.places import Paging, project_at
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.catalog.alarms import alarms as rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import AlarmRow
from holdfast.domain.access import Caller, Permission
from holdfast.domain.alarms.rules import Severity
from holdfast.domain.errors import NotFound
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases.alarms import verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.alarms import SnoozeForm
from holdfast.views.alarms import alarms as views
from holdfast.views.shapes.alarms import AlarmList, AlarmView
from holdfast.views.shapes.base import Many, One

router = APIRouter(tags=["alarms"], route_class=ReadRoute)

Reader = Annotated[Caller, Depends(requires(Permission.ADDON_READ))]
Updater = Annotated[Caller, Depends(requires(Permission.ADDON_UPDATE))]

ALARM = "/alarms/{alarm_id}"


def _alarm_at(session: ReadSession, caller: Caller, alarm_id: str) -> AlarmRow:
    alarm = rows.find(session, alarm_id, caller)
    if alarm is None:
        raise NotFound(f"there is no alarm {alarm_id!r}")
    return alarm


def _view(session: ReadSession, alarm: AlarmRow) -> AlarmView:
    return views.alarm_views(session, [alarm])[0]


@router.get("/alarms", response_model=Many[AlarmList])
@in_turn
def list_alarms(
    api: State,
    caller: Reader,
    page: Paging,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    project_id: Annotated[str | None, Query(alias="projectId")] = None,
) -> Response:
    """The newest first. A token of some projects sees alarms about their addons only."""
    with api.catalog.read() as session:
        project = None if project_id is None else project_at(session, caller, project_id).pk
        listed = rows.listed(
            session,
            caller,
            page,
            is_open=is_open,
            severities=severity or (),
            project_pk=project,
        )
        items = views.alarm_views(session, listed.items)
    return answers.many(AlarmList(alarms=items), len(items), listed.cursor)


@router.get(ALARM, response_model=One[AlarmView])
@in_turn
def get_alarm(api: State, caller: Reader, alarm_id: str) -> Response:
    with api.catalog.read() as session:
        return answers.one(_view(session, _alarm_at(session, caller, alarm_id)))


@router.post(f"{ALARM}/acknowledge", response_model=One[AlarmView])
def acknowledge_alarm(writing: Writing, caller: Updater, alarm_id: str) -> Response:
    """Says that the caller takes care of it."""

    def change(context: Context) -> AlarmView:
        alarm = _alarm_at(context.session, caller, alarm_id)
        verbs.acknowledge(context, alarm)
        return _view(context.session, alarm)

    return writing.change(caller, change)


@router.post(f"{ALARM}/snooze", response_model=One[AlarmView])
def snooze_alarm(writing: Writing, caller: Updater, alarm_id: str, form: SnoozeForm) -> Response:
    """Sends it again after that time, if it is still open."""

    def change(context: Context) -> AlarmView:
        alarm = _alarm_at(context.session, caller, alarm_id)
        verbs.snooze(context, alarm, form.minutes)
        return _view(context.session, alarm)

    return writing.change(caller, change)


@router.post(f"{ALARM}/close", response_model=One[AlarmView])
def close_alarm(writing: Writing, caller: Updater, alarm_id: str) -> Response:
    """Ends it by hand. It opens anew, within seconds, if its cause is still there."""

    def change(context: Context) -> AlarmView:
        alarm = _alarm_at(context.session, caller, alarm_id)
        verbs.close(context, alarm)
        return _view(context.session, alarm)

    return writing.change(caller, change)
