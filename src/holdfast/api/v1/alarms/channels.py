"""Channel and delivery routes (extension): where messages are sent, and what was answered."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from holdfast.api.places import Paging
from holdfast.api.reading import in_turn
from holdfast.catalog.alarms import channels as rows
from holdfast.catalog.alarms import deliveries
from holdfast.catalog.alarms.deliveries import Claim
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ChannelRow, DeliveryRow
from holdfast.domain.access import Caller, Permission
from holdfast.domain.alarms.messages import Event
from holdfast.domain.errors import Conflict, NotFound
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import Api, State
from holdfast.http.writing import Writing
from holdfast.usecases.alarms import channels as verbs
from holdfast.usecases.alarms.sending import attempt
from holdfast.usecases.context import Context
from holdfast.usecases.forms.alarms import ChannelForm, ChannelPatch
from holdfast.views.alarms import alarms as views
from holdfast.views.shapes.alarms import (
    ChannelList,
    ChannelView,
    DeliveryList,
    DeliveryView,
    NewChannelView,
)
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["channels"])

Reader = Annotated[Caller, Depends(requires(Permission.NOTIFICATIONS_READ))]
Manager = Annotated[Caller, Depends(requires(Permission.NOTIFICATIONS_MANAGE))]

CHANNEL = "/channels/{channel_id}"


def channel_at(session: ReadSession, caller: Caller, channel_id: str) -> ChannelRow:
    """A channel; one that sends what is of other projects counts as missing."""
    channel = rows.find(session, channel_id, caller, notification=False)
    if channel is None:
        raise NotFound(f"there is no channel {channel_id!r}")
    return channel


@router.get("/channels", response_model=Many[ChannelList])
@in_turn
def list_channels(api: State, caller: Reader, page: Paging) -> Response:
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page, notification=False)
        items = [views.channel_view(session, row) for row in listed.items]
    return answers.many(ChannelList(channels=items), len(items), listed.cursor)


@router.post("/channels", response_model=One[NewChannelView])
def add_channel(api: State, writing: Writing, caller: Manager, form: ChannelForm) -> Response:
    """The only answer with a webhook's key; so it is not kept for repeated posts."""
    settings, channel = api.complete_channel(form.kind, form.settings)

    def add(context: Context) -> NewChannelView:
        row = verbs.add(context, form, settings, channel)
        key = settings.get("key") if row.kind == "webhook" else None
        shown = views.channel_view(context.session, row)
        return NewChannelView(**dict(shown), key=cast("str | None", key))

    return writing.change(caller, add)


@router.get(CHANNEL, response_model=One[ChannelView])
@in_turn
def get_channel(api: State, caller: Reader, channel_id: str) -> Response:
    with api.catalog.read() as session:
        row = channel_at(session, caller, channel_id)
        return answers.one(views.channel_view(session, row))


@router.patch(CHANNEL, response_model=One[ChannelView])
def patch_channel(
    api: State, writing: Writing, caller: Manager, channel_id: str, form: ChannelPatch
) -> Response:
    """What is left out stays; `settings` are replaced as a whole."""
    with api.catalog.read() as session:
        kind = channel_at(session, caller, channel_id).kind
    changed = None if form.settings is None else api.complete_channel(kind, form.settings)

    def patch(context: Context) -> ChannelView:
        row = channel_at(context.session, caller, channel_id)
        verbs.patch(context, row, form, changed)
        return views.channel_view(context.session, row)

    return writing.change(caller, patch)


@router.delete(CHANNEL, response_model=One[Empty])
def delete_channel(writing: Writing, caller: Manager, channel_id: str) -> Response:
    """What still waits for it is given up."""
    return writing.undo(
        caller,
        lambda context: verbs.delete(context, channel_at(context.session, caller, channel_id)),
    )


@router.post(f"{CHANNEL}/test", response_model=One[DeliveryView])
def test_channel(api: State, writing: Writing, caller: Manager, channel_id: str) -> Response:
    """Sends a test message now, once, and shows what the other side answered."""
    claims: list[Claim] = []

    def order(context: Context) -> None:
        row = channel_at(context.session, caller, channel_id)
        delivery = deliveries.add(context.session, row.pk, Event.TEST, {}, context.now)
        claim = deliveries.claim(context.session, delivery.pk)
        if claim is None:
            raise Conflict("the test is being sent already")
        claims.append(claim)

    writing.change(caller, order)
    return _sent_now(api, claims[-1])


def _sent_now(api: Api, claim: Claim) -> Response:
    with api.catalog.read() as session:
        row = rows.get(session, claim.channel_pk)
        session.expunge(row)
    outcome = attempt(row, api.services.sealer, api.open_channel, claim, api.clock)
    with api.catalog.write() as session:
        deliveries.settle(session, claim, outcome, api.clock.now())
    with api.catalog.read() as session:
        delivery = session.get_one(DeliveryRow, claim.pk)
        return answers.one(views.delivery_views(session, [delivery], {row.pk: row.id})[0])


@router.get("/deliveries", response_model=Many[DeliveryList])
@in_turn
def list_deliveries(
    api: State,
    caller: Reader,
    page: Paging,
    channel_id: Annotated[str | None, Query(alias="channelId")] = None,
    waiting: Annotated[bool | None, Query()] = None,
) -> Response:
    """The newest first, with every attempt and what was answered."""
    with api.catalog.read() as session:
        names = _visible(session, caller)
        if channel_id is not None:
            names = {pk: name for pk, name in names.items() if name == channel_id}
            if not names:
                raise NotFound(f"there is no channel {channel_id!r}")
        listed = deliveries.listed(session, list(names), page, waiting=waiting)
        items = views.delivery_views(session, listed.items, names)
    return answers.many(DeliveryList(deliveries=items), len(items), listed.cursor)


@router.post("/deliveries/{delivery_id}/resend", response_model=One[DeliveryView])
def resend_delivery(writing: Writing, caller: Manager, delivery_id: str) -> Response:
    """Sends it again, under the same id, as soon as possible. 409 while it waits anyway."""

    def resend(context: Context) -> DeliveryView:
        session, names = context.session, _visible(context.session, caller)
        row = deliveries.find(session, delivery_id)
        if row is None or row.channel_pk not in names:
            raise NotFound(f"there is no delivery {delivery_id!r}")
        if row.sent is None and row.given_up is None:
            raise Conflict("the delivery waits to be sent anyway")
        deliveries.resend(session, row, context.now)
        return views.delivery_views(session, [row], names)[0]

    return writing.change(caller, resend)


def _visible(session: ReadSession, caller: Caller) -> dict[int, str]:
    """Ids of the living channels and notification integrations that the caller sees, by key."""
    return {row.pk: row.id for row in rows.living(session) if rows.is_visible(session, caller, row)}
