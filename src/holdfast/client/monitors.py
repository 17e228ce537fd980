"""Calls for monitors: pings that are expected from elsewhere."""

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
from holdfast.client.transport.transport import Body, path_of


class Monitor(Model):
    """`state` is new, up, failed or late. `ping_url` is what has to be pinged; only the answers to
    `add` and `renew` have it."""

    id: str
    name: str = ""
    every_seconds: int = 0
    grace_seconds: int = 0
    state: str = ""
    problem: str | None = None
    since: str | None = None
    pinged_at: str | None = None
    signal: str | None = None
    said: str | None = None
    started_at: str | None = None
    succeeded_at: str | None = None
    due_at: str = ""
    created_at: str = ""
    updated_at: str = ""
    ping_url: str | None = None


class Monitors(Noun[R]):
    @listing
    def list(self) -> Listing[Monitor]:
        return Listing(Monitor, path_of("monitors"), "monitors")

    @call
    def get(self, monitor: str) -> Steps[Monitor]:
        return parsed(Monitor, (yield from get(path_of("monitors", monitor))))

    @call
    def add(self, body: Body) -> Steps[Monitor]:
        """Adds one. `body`: name, everySeconds, graceSeconds."""
        return parsed(Monitor, (yield from post(path_of("monitors"), body)))

    @call
    def patch(self, monitor: str, body: Body) -> Steps[Monitor]:
        return parsed(Monitor, (yield from patch(path_of("monitors", monitor), body)))

    @call
    def renew(self, monitor: str) -> Steps[Monitor]:
        """Makes another URL to ping; the old one means nothing any more."""
        return parsed(Monitor, (yield from post(path_of("monitors", monitor, "renew"))))

    @call
    def delete(self, monitor: str) -> Steps[None]:
        yield from delete(path_of("monitors", monitor))
