"""`holdfast delivery`: what was sent to channels, and what was answered."""

from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.client.alarms import Delivery

app = noun("Deliveries: what was sent to channels, and what was answered.")

_COLUMNS = {
    "ID": "id",
    "CHANNEL": "channel",
    "EVENT": "event",
    "TITLE": "title",
    "STATUS": "status",
    "CREATED": "createdAt",
    "TRIES": "tries",
    "ANSWER": "answer",
}


@verb(app, "list", "holdfast delivery list --limit 20", "holdfast delivery list --waiting")
def show(
    session: Session,
    channel: Annotated[str | None, typer.Option("--channel", help="Only to this one.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what was not sent yet.")] = False,
    limit: Limit = None,
) -> None:
    """List deliveries, the newest first."""
    params: dict[str, str | int] = {} if channel is None else {"channelId": channel}
    if waiting:
        params["waiting"] = "true"
    with session.client() as client:
        deliveries = list(islice(client.deliveries.list(params), limit))
    session.printer.rows(deliveries, _COLUMNS, described)


def described(delivery: Delivery) -> dict[str, str]:
    """How often it was tried, and what was answered last."""
    last = delivery.attempts[-1].answer if delivery.attempts else ""
    return {"tries": str(len(delivery.attempts)), "answer": last}


@verb(app, "resend", "holdfast delivery resend 65a1f0c2b3d4e5f6a7b8c9d0")
def resend(
    session: Session,
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="The event's id.")],
) -> None:
    """Send it again, under the same id."""
    with session.client() as client:
        client.deliveries.resend(delivery_id)
    session.printer.done(f"delivery {delivery_id} is sent again")
