"""Calls for alarms, the channels that they are sent to, and deliveries."""

from pydantic import Field

from holdfast.client.models.models import Model
from holdfast.client.transport.calls import (
    Listing,
    Noun,
    R,
    Steps,
    call,
    delete,
    get,
    listing,
    patch,
    post,
)
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, Params, path_of


class Alarm(Model):
    """It is open while it has no `closed_at`."""

    id: str
    kind: str = ""
    severity: str = ""
    subject: str = ""
    reason: str = ""
    remedy: str = ""
    project_id: str | None = None
    addon_id: str | None = None
    since: str = ""
    opened_at: str = ""
    updated_at: str = ""
    acknowledged_at: str | None = None
    acknowledged_by: str | None = None
    snoozed_until: str | None = None
    closed_at: str | None = None
    closed_by: str | None = None


class Channel(Model):
    """`key` signs a webhook's messages; only the answer to `add` has it."""

    id: str
    name: str = ""
    kind: str = ""
    receiver: str = ""
    severity: str = ""
    projects: list[str] | None = None
    kinds: list[str] | None = None
    resolved: bool = True
    digest: str | None = None
    failing: bool = False
    failures: int = 0
    problem: str | None = None
    failing_since: str | None = None
    next_try_at: str | None = None
    delivered_at: str | None = None
    created_at: str = ""
    updated_at: str = ""
    key: str | None = None


class Attempt(Model):
    at: str = ""
    ok: bool = False
    milliseconds: int = 0
    answer: str = ""


class Delivery(Model):
    """`status` is waiting, sent or given up."""

    id: str
    channel: str = ""
    event: str = ""
    title: str = ""
    status: str = ""
    created_at: str = ""
    sent_at: str | None = None
    given_up_at: str | None = None
    attempts: list[Attempt] = Field(default=[])


class Alarms(Noun[R]):
    @listing
    def list(self, params: Params | None = None) -> Listing[Alarm]:
        """Lists alarms, the newest first. `params`: open, severity, projectId."""
        return Listing(Alarm, path_of("alarms"), "alarms", params or {})

    @call
    def get(self, alarm: str) -> Steps[Alarm]:
        return parsed(Alarm, (yield from get(path_of("alarms", alarm))))

    @call
    def acknowledge(self, alarm: str) -> Steps[Alarm]:
        return parsed(Alarm, (yield from post(path_of("alarms", alarm, "acknowledge"))))

    @call
    def snooze(self, alarm: str, minutes: int) -> Steps[Alarm]:
        """No reminder is sent for so long; then one is, if it is still open."""
        path = path_of("alarms", alarm, "snooze")
        return parsed(Alarm, (yield from post(path, {"minutes": minutes})))

    @call
    def close(self, alarm: str) -> Steps[Alarm]:
        """Ends it by hand; it opens anew if its cause is still there."""
        return parsed(Alarm, (yield from post(path_of("alarms", alarm, "close"))))


class Channels(Noun[R]):
    @listing
    def list(self) -> Listing[Channel]:
        return Listing(Channel, path_of("channels"), "channels")

    @call
    def get(self, channel: str) -> Steps[Channel]:
        return parsed(Channel, (yield from get(path_of("channels", channel))))

    @call
    def add(self, body: Body) -> Steps[Channel]:
        """Adds one. `body`: name, kind, settings, severity, projects, kinds, resolved, digest."""
        return parsed(Channel, (yield from post(path_of("channels"), body)))

    @call
    def patch(self, channel: str, body: Body) -> Steps[Channel]:
        return parsed(Channel, (yield from patch(path_of("channels", channel), body)))

    @call
    def delete(self, channel: str) -> Steps[None]:
        yield from delete(path_of("channels", channel))

    @call
    def test(self, channel: str) -> Steps[Delivery]:
        """Sends a test message now; the delivery's attempt has what the other side answered."""
        return parsed(Delivery, (yield from post(path_of("channels", channel, "test"))))


class Deliveries(Noun[R]):
    @listing
    def list(self, params: Params | None = None) -> Listing[Delivery]:
        """Lists deliveries, the newest first. `params`: channelId, waiting."""
        return Listing(Delivery, path_of("deliveries"), "deliveries", params or {})

    @call
    def resend(self, delivery: str) -> Steps[Delivery]:
        """Sends it again, under the same id."""
        return parsed(Delivery, (yield from post(path_of("deliveries", delivery, "resend"))))
