"""What the frame around every page shows: who is signed in, the time, and how many alarms."""

from dataclasses import dataclass

from starlette.requests import Request

from holdfast.domain.access import Permission
from holdfast.http.state import of
from holdfast.views.alarms.alarms import OpenAlarms, open_of
from holdfast.web.session import Viewer


@dataclass(frozen=True)
class Frame:
    """`viewer` None: no session, so there is no navigation."""

    viewer: Viewer | None
    now: int
    alarms: OpenAlarms

    @property
    def csrf(self) -> str:
        return self.viewer.csrf if self.viewer else ""

    def may(self, name: str) -> bool:
        """Whether the viewer has a permission, by its name in `Permission`."""
        return self.viewer is not None and self.viewer.caller.may(Permission[name])

    @property
    def sees_all(self) -> bool:
        return self.viewer is not None and self.viewer.caller.projects is None


async def frame_of(request: Request, viewer: Viewer | None) -> Frame:
    api = of(request)
    if viewer is None or not viewer.caller.may(Permission.ADDON_READ):
        return Frame(viewer, api.clock.now(), OpenAlarms(0, None))

    def read() -> OpenAlarms:
        with api.catalog.read() as session:
            return open_of(session, viewer.caller)

    return Frame(viewer, api.clock.now(), await api.turns.run(read))
