"""Notification integration routes of the v1 API: list, create, get, update, delete."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast.api.places import Paging
from holdfast.api.reading import in_turn
from holdfast.catalog.alarms import channels as rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ChannelRow
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import NotFound
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases.alarms import channels, integrations
from holdfast.usecases.context import Context
from holdfast.usecases.forms.integrations import NotificationForm, NotificationPatch
from holdfast.views.alarms import integrations as views
from holdfast.views.shapes.alarms import NotificationList, NotificationView
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["notification integrations"])

Reader = Annotated[Caller, Depends(requires(Permission.NOTIFICATIONS_READ))]
Manager = Annotated[Caller, Depends(requires(Permission.NOTIFICATIONS_MANAGE))]

INTEGRATIONS = "/integrations/notifications"
INTEGRATION = "/integrations/notifications/{notification_id}"


def _integration_at(session: ReadSession, caller: Caller, notification_id: str) -> ChannelRow:
    row = rows.find(session, notification_id, caller, notification=True)
    if row is None:
        raise NotFound(f"there is no notification integration {notification_id!r}")
    return row


@router.get(INTEGRATIONS, response_model=Many[NotificationList])
@in_turn
def list_notification_integrations(api: State, caller: Reader, page: Paging) -> Response:
    sealer, masked = api.services.sealer, api.mask_secrets
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page, notification=True)
        items = [views.item(row, sealer, masked=masked) for row in listed.items]
    shape = NotificationList(notification_integrations=items)
    return answers.many(shape, len(items), listed.cursor)


@router.post(INTEGRATIONS, response_model=One[NotificationView])
def create_notification_integration(
    api: State, writing: Writing, caller: Manager, form: NotificationForm
) -> Response:
    def create(context: Context) -> NotificationView:
        row = integrations.create(context, form, api.open_channel)
        return views.view(row, api.services.sealer, masked=api.mask_secrets)

    return writing.create(caller, create)


@router.get(INTEGRATION, response_model=One[NotificationView])
@in_turn
def get_notification_integration(api: State, caller: Reader, notification_id: str) -> Response:
    with api.catalog.read() as session:
        row = _integration_at(session, caller, notification_id)
        return answers.one(views.view(row, api.services.sealer, masked=api.mask_secrets))


@router.post(INTEGRATION, response_model=One[NotificationView])
def update_notification_integration(
    api: State, writing: Writing, caller: Manager, notification_id: str, form: NotificationPatch
) -> Response:
    """What is left out stays; the id and the type always do."""

    def update(context: Context) -> NotificationView:
        row = _integration_at(context.session, caller, notification_id)
        integrations.update(context, row, form, api.open_channel)
        return views.view(row, api.services.sealer, masked=api.mask_secrets)

    return writing.change(caller, update)


@router.delete(INTEGRATION, response_model=One[Empty])
def delete_notification_integration(
    writing: Writing, caller: Manager, notification_id: str
) -> Response:
    def delete(context: Context) -> None:
        channels.delete(context, _integration_at(context.session, caller, notification_id))

    return writing.undo(caller, delete)
