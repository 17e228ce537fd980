"""Live pages: one stream of hints a page, fed by one look a second for all of them.

A hint names what changed (`addon/shop/orders`, `fleet`, `alarms`); the page then asks again for the
parts about it, with its own rights. Progress is sent along, because it moves each second: pages
write it where it belongs. Streams count as live logs, and end with their session.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from holdfast.catalog.database.edition import Edition
from holdfast.catalog.database.session import CatalogAway
from holdfast.domain.access import Caller, Permission
from holdfast.http.auth import check
from holdfast.http.state import Api, of
from holdfast.views.dashboard import changes
from holdfast.views.dashboard.changes import Changes, Snapshot
from holdfast.views.dashboard.fleet import Tiles
from holdfast.web.session import EVENT_STREAM, Viewer, Viewing, viewer_of
from holdfast.web.showing.throughput import Samples

log = logging.getLogger(__name__)
router = APIRouter()

_LOOK_SECONDS = 1.0
_LOOKS_SHARE = 50
"""Looks take a fiftieth of the time at most: one that takes 40 ms is made every two seconds."""
_PING_SECONDS = 15.0
BELL = "bell"
"""The topic that every page follows: the number of open alarms is in its title."""
_PAUSES = {"fleet": 5.0, "wall": 15.0, "rate": 5.0, BELL: 5.0}
"""How often a page about all addons is told at most: with many there is always something. By the
first word of a topic; `rate/<id>` is the throughput of an operation."""
_TOPICS = 20
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@dataclass(eq=False)
class Listener:
    """One open page: what it follows, and what it was not told yet."""

    caller: Caller
    topics: frozenset[str]
    pending: dict[str, None] = field(default_factory=dict[str, None])
    progress: dict[str, str] = field(default_factory=dict[str, str])
    told: dict[str, float] = field(default_factory=dict[str, float])
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    def hear(self, news: Changes) -> None:
        visible = [name for name in news.addons if self.caller.sees(name[0])]
        topics = [f"addon/{project}/{addon}" for project, addon in visible]
        topics += [f"operation/{op}" for op in news.operations]
        topics += ["fleet", "wall"] if visible else []
        topics += ["alarms", BELL] if news.alarms else []
        topics += [f"rate/{moved.id}" for moved in news.moved if self.caller.sees(moved.addon[0])]
        self.pending.update(dict.fromkeys(topic for topic in topics if topic in self.topics))
        for moved in news.moved:
            if self.caller.sees(moved.addon[0]) and self._follows(moved):
                self.progress[moved.id] = json.dumps(
                    {"op": moved.id, "bytes": moved.bytes, "expected": moved.expected}
                )
        if self.pending or self.progress:
            self.woken.set()

    def _follows(self, moved: changes.Progress) -> bool:
        project, addon = moved.addon
        return bool(self.topics & {"fleet", f"addon/{project}/{addon}", f"operation/{moved.id}"})

    def take(self, now: float) -> str:
        """The events to send now; topics that were told a moment ago wait."""
        events = [f"event: progress\ndata: {text}\n\n" for text in self.progress.values()]
        self.progress.clear()
        due = [
            topic
            for topic in self.pending
            if now - self.told.get(topic, 0) >= _PAUSES.get(topic.partition("/")[0], 0)
        ]
        for topic in due:
            del self.pending[topic]
            self.told[topic] = now
        if due:
            events.append(f"event: changed\ndata: {' '.join(due)}\n\n")
        return "".join(events)


class Hub:
    """Looks once a second while pages are open, and tells all of them. For the event loop."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._edition: Edition | None = None
        self.tiles = Tiles(api.clock)
        self.samples = Samples()
        """Of operations under way, while pages are open."""
        self.closed = False

    def edition(self) -> int | None:
        """The catalogue's change counter, see `Edition`."""
        with suppress(*CatalogAway):
            self._edition = self._edition or Edition(self._api.catalog)
            return self._edition.number()
        return None

    def join(self, listener: Listener) -> None:
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def close(self) -> None:
        """Ends every stream: the process is about to end."""
        self.closed = True
        for listener in self._listeners:
            listener.over = True
            listener.woken.set()

    async def _watch(self) -> None:
        snapshot: Snapshot | None = None
        edition: int | None = None
        while self._listeners and not self.closed:
            began = self._api.clock.monotonic()
            with suppress(*CatalogAway):
                latest = self.edition()
                if latest is None or latest != edition or snapshot is None:
                    snapshot, news = await self._api.turns.run(lambda old=snapshot: self._look(old))
                    edition = latest
                    progress = snapshot.progress.values()
                    now = self._api.clock.now()
                    self.samples.note(now, ((moved.id, moved.bytes) for moved in progress))
                    for listener in list(self._listeners) if news else ():
                        listener.hear(news)
            took = self._api.clock.monotonic() - began
            await asyncio.sleep(max(_LOOK_SECONDS, took * _LOOKS_SHARE))

    def _look(self, old: Snapshot | None) -> tuple[Snapshot, Changes]:
        with self._api.catalog.read() as session:
            new = changes.look(session)
            return new, changes.compare(session, old, new) if old is not None else Changes()


def hub_of(request: Request) -> Hub:
    hub: Hub = request.app.state.live
    return hub


@router.get("/live")
async def listen(request: Request, viewer: Viewing) -> Response:
    """The hints of one page; `of` names what it follows, with commas between."""
    check(viewer.caller, Permission.ADDON_READ)
    topics = frozenset(request.query_params.get("of", "").split(",")[:_TOPICS]) | {BELL}
    reserved = reserve(of(request), viewer.caller)
    listener = Listener(viewer.caller, topics)
    body = _hints(request, viewer, listener, reserved)
    return StreamingResponse(body, headers=HEADERS, media_type=EVENT_STREAM)


def reserve(api: Api, caller: Caller) -> ExitStack:
    """Counts a stream among the live logs. Raises Full when there are too many."""
    stack = ExitStack()
    stack.enter_context(api.tails.one())
    try:
        stack.enter_context(api.tails.one_of(caller))
    except Exception:
        stack.close()
        raise
    return stack


async def _hints(
    request: Request, viewer: Viewer, listener: Listener, reserved: ExitStack
) -> AsyncIterator[str]:
    hub, clock = hub_of(request), of(request).clock
    with reserved:
        hub.join(listener)
        try:
            yield "retry: 3000\nevent: ping\ndata: \n\n"
            checked = clock.monotonic()
            while not listener.over:
                with suppress(TimeoutError):
                    await asyncio.wait_for(listener.woken.wait(), _LOOK_SECONDS)
                listener.woken.clear()
                now = clock.monotonic()
                events = listener.take(now)
                if now - checked >= _PING_SECONDS:
                    checked = now
                    if not await still_valid(request, viewer):
                        yield "event: bye\ndata: \n\n"
                        return
                    events += "event: ping\ndata: \n\n"
                if events:
                    yield events
        finally:
            hub.leave(listener)


async def still_valid(request: Request, viewer: Viewer) -> bool:
    """Whether the session goes on with the same rights."""
    current = await viewer_of(request)
    return current is not None and current.caller == viewer.caller


def topics(*names: str) -> str:
    """The value of a page's `live`."""
    return ",".join(names)


def addon_topic(project: str, addon: str) -> str:
    return f"addon/{project}/{addon}"
