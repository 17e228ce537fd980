"""Logs of operations: the lines that a page begins with, and those that follow, as a stream.

Lines are text; nothing in them is ever taken for markup. A stream goes on after the line that the
browser has (`Last-Event-ID`), and ends with its operation.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import StreamingResponse

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.work import journal, operations
from holdfast.domain.access import Permission
from holdfast.domain.operation import OVER, Status
from holdfast.http.state import of
from holdfast.web.live import HEADERS, hub_of, reserve, still_valid
from holdfast.web.session import EVENT_STREAM, Viewer
from holdfast.web.showing import words

_FIRST_LINES = 400
_LINES_AT_ONCE = 500
_POLL_SECONDS = 0.5
_CHECKS_SECONDS = 15.0


@dataclass(frozen=True)
class Log:
    """The lines of an operation that a page begins with. `last` is the number of the last one,
    `over`: no more will come; `cut`: there are earlier ones."""

    lines: list[tuple[str, str]]
    last: int
    over: bool
    cut: bool


def read(session: ReadSession, operation: str | None, viewer: Viewer) -> Log | None:
    """The newest lines; None for a viewer who may not read logs."""
    if not viewer.caller.may(Permission.INSTANCE_LOGS):
        return None
    row = operations.get(session, operation) if operation else None
    rows = journal.read(session, operation or "", journal.Window(limit=_FIRST_LINES + 1))
    cut = len(rows) > _FIRST_LINES
    rows = rows[-_FIRST_LINES:]
    return Log(
        lines=[(words.clock_time(row.at, millis=True), row.text) for row in rows],
        last=rows[-1].pk if rows else 0,
        over=row is None or Status(row.status) in OVER,
        cut=cut,
    )


def follow(request: Request, viewer: Viewer, operation: str) -> StreamingResponse:
    """A stream of the lines after the browser's last one, for a viewer who may read logs."""
    last = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    after = int(last) if last.isascii() and last.isdigit() else 0
    reserved = reserve(of(request), viewer.caller)
    body = _lines(request, viewer, operation, after, reserved)
    return StreamingResponse(body, headers=HEADERS, media_type=EVENT_STREAM)


async def _lines(
    request: Request, viewer: Viewer, operation: str, after: int, reserved: ExitStack
) -> AsyncIterator[str]:
    api, hub = of(request), hub_of(request)

    def look(after: int) -> tuple[list[tuple[int, int, str]], bool]:
        with api.catalog.read() as session:
            row = operations.get(session, operation)
            over = row is None or Status(row.status) in OVER
            window = journal.Window(after=after, limit=_LINES_AT_ONCE, newest=False)
            lines = journal.read(session, operation, window)
            return [(line.pk, line.at, line.text) for line in lines], over

    with reserved:
        checked = api.clock.monotonic()
        while not hub.closed:
            lines, over = await api.turns.run(lambda last=after: look(last))
            for number, at, text in lines:
                document = {"at": words.clock_time(at, millis=True), "text": text}
                yield f"id: {number}\nevent: line\ndata: {json.dumps(document)}\n\n"
                after = number
            if over and len(lines) < _LINES_AT_ONCE:
                yield "event: end\ndata: \n\n"
                return
            if api.clock.monotonic() - checked >= _CHECKS_SECONDS:
                checked = api.clock.monotonic()
                if not await still_valid(request, viewer):
                    yield "event: end\ndata: \n\n"
                    return
                yield ": still here\n\n"
            if len(lines) < _LINES_AT_ONCE:
                await asyncio.sleep(_POLL_SECONDS)
