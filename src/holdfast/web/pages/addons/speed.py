"""The throughput of one operation that runs: a part of its page, asked for again as it moves."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from holdfast.catalog.work import operations
from holdfast.domain.access import Permission
from holdfast.domain.errors import NotFound
from holdfast.domain.operation import OVER
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.web.frame import frame_of
from holdfast.web.live import hub_of
from holdfast.web.pages.addons.addon import Place, place
from holdfast.web.rendering import Page, show
from holdfast.web.session import Viewer, Viewing
from holdfast.web.showing.throughput import Sample, Throughput, throughput

router = APIRouter()


@router.get("/p/{project}/{addon}/speed/{operation}")
async def speed(
    request: Request, viewer: Viewing, project: str, addon: str, operation: str
) -> Response:
    check(viewer.caller, Permission.ADDON_READ)
    at = place(request, viewer.caller, project, addon)
    curve = await curve_of(request, viewer, at, operation)
    context = {"at": at, "operation": operation, "curve": curve}
    frame = await frame_of(request, viewer)
    return show(request, "addons/speed.html", Page("Throughput"), frame, context)


async def curve_of(
    request: Request, viewer: Viewer, at: Place, operation: str
) -> Throughput | None:
    """None when it has not begun, is over, or nothing is known yet."""
    api = of(request)

    def read() -> tuple[int | None, int] | None:
        with api.catalog.read() as session:
            row = operations.get(session, operation)
            if row is None or row.addon_pk != at.row(session, viewer.caller).pk:
                raise NotFound(f"there is no operation {operation!r} of addon {at.addon!r}")
            if row.status in OVER:
                return None
            return row.started, int((row.progress or {}).get("bytes") or 0)

    state = await api.turns.run(read)
    if state is None or not state[1]:
        return None
    started, count = state
    current = Sample(api.clock.now(), count)
    return throughput(started, hub_of(request).samples.of(operation), current)
