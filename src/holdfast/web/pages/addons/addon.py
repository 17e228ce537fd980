"""What all pages about one addon share: its path, its names, its rows, and what its engine can."""

import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from holdfast.catalog import addons
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon
from holdfast.domain.access import Caller
from holdfast.domain.errors import NotFound
from holdfast.http.state import of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.live import addon_topic, hub_of
from holdfast.web.rendering import Page


@dataclass(frozen=True)
class Place:
    """The addon that a page is about: `project` and `addon` are the ids in its address."""

    calls: Calls
    project: str
    addon: str

    @property
    def url(self) -> str:
        return f"/p/{self.project}/{self.addon}"

    @property
    def topic(self) -> str:
        return addon_topic(self.project, self.addon)

    def path(self, *segments: str) -> str:
        """The API's route of something of this addon."""
        return path_of("projects", self.project, "addons", self.addon, *segments)

    async def view(self) -> dict[str, Any]:
        return await self.calls.get(self.path())

    async def features(self, kind: str) -> dict[str, Any]:
        """What the engine can do here; also what is `missing`, as a sentence."""
        types = (await self.calls.get("/v1/addon-types"))["addonTypes"]
        kind_here = next(entry for entry in types if entry["type"] == kind)
        return {
            **kind_here["features"],
            "missing": kind_here.get("missing"),
            "versions": kind_here["versions"],
        }

    def row(self, session: ReadSession, caller: Caller) -> Addon:
        """Raises NotFound as the API does."""
        row = addons.at(session, self.project, self.addon) if caller.sees(self.project) else None
        if row is None:
            raise NotFound(f"there is no addon {self.addon!r} in project {self.project!r}")
        return row[1]

    def page(self, title: str, *crumbs: tuple[str, str], live: str = "") -> Page:
        """A page below the addon's own."""
        trail = (("Databases", "/projects"), (self.project, f"/?project={self.project}"))
        return Page(title, "databases", (*trail, (self.addon, self.url), *crumbs), live)


def place(request: Request, caller: Caller, project: str, addon: str) -> Place:
    return Place(Calls(request, caller), project, addon)


async def alike(request: Request, caller: Caller, at: Place, kind: str) -> list[tuple[str, str]]:
    """The other addons of a kind that the caller sees: project and id, and the words of a list."""
    api, hub = of(request), hub_of(request)
    edition = hub.edition()

    def read() -> list[tuple[str, str]]:
        with api.catalog.read() as session:
            tiles = hub.tiles.of(session, caller, edition)
        return [
            (f"{tile.project_id}/{tile.id}", f"{tile.name} in {tile.project_id}")
            for tile in tiles
            if tile.kind == kind and (tile.project_id, tile.id) != (at.project, at.addon)
        ]

    return await api.turns.run(read)


async def together(*reads: Any) -> Any:
    """Several calls of the API at once; the first that fails ends them."""
    return await asyncio.gather(*reads)
