"""The overview: is everything safe, and what is to be done? Then the wall of all databases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from holdfast.catalog import destinations
from holdfast.domain.access import Permission
from holdfast.domain.operation import RESTORING, TAKING, Kind, Status
from holdfast.domain.protection import Code, State
from holdfast.domain.units import DAY_MS
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.views.dashboard import fleet as views
from holdfast.views.dashboard.fleet import Fleet, Tile
from holdfast.web.frame import frame_of
from holdfast.web.live import hub_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Viewing
from holdfast.web.showing import exports
from holdfast.web.showing.tiles import TONES, WORDS, draw_wall

router = APIRouter()

WHOLE_WALL = 400
"""Databases up to which every tile is shown; above, projects without trouble are a line each."""
MAX_TODO = 20
_NEXT = 4

_UNPROVEN = "unproven"


@dataclass(frozen=True)
class Filters:
    """What the address asks for; links keep the rest."""

    state: str = ""
    project: str = ""
    engine: str = ""
    text: str = ""
    table: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filters":
        return cls(
            state=query.get("state", ""),
            project=query.get("project", ""),
            engine=query.get("engine", ""),
            text=query.get("q", "").strip(),
            table=query.get("view") == "table",
        )

    @property
    def narrow(self) -> bool:
        return bool(self.state or self.project or self.engine or self.text)

    def takes(self, tile: Tile) -> bool:
        if self.state == _UNPROVEN:
            fits = any(reason.code is Code.UNPROVEN for reason in tile.verdict.reasons)
        else:
            fits = not self.state or tile.state == self.state
        text = self.text.lower()
        return (
            fits
            and self.project in ("", tile.project_id)
            and self.engine in ("", tile.kind)
            and (not text or text in f"{tile.project_id}/{tile.id} {tile.name}".lower())
        )

    def query(self, **changes: str) -> dict[str, str]:
        """The parameters of a link that changes some of these."""
        current = {
            "state": self.state,
            "project": self.project,
            "engine": self.engine,
            "q": self.text,
            "view": "table" if self.table else "",
        }
        return {name: value for name, value in {**current, **changes}.items() if value}


@dataclass(frozen=True)
class Wall:
    """The tiles that are shown, by project, and projects that are one line each."""

    groups: Mapping[str, Sequence[Tile]]
    lines: Mapping[str, Sequence[Tile]]
    days: Mapping[int, str] = field(default_factory=dict[int, str])


@router.get("/")
async def overview(request: Request, viewer: Viewing) -> Response:
    check(viewer.caller, Permission.ADDON_READ)
    api = of(request)
    frame = await frame_of(request, viewer)
    filters = Filters.of(request.query_params)
    hub, edition = hub_of(request), hub_of(request).edition()

    def read() -> tuple[Fleet, Wall, int]:
        with api.catalog.read() as session:
            tiles = hub.tiles.of(session, viewer.caller, edition)
            fleet = views.fleet(session, viewer.caller, tiles, frame.now - DAY_MS)
            wall = _wall(fleet, filters)
            shown = [tile for group in wall.groups.values() for tile in group]
            days = views.bars(session, shown)
            stores = 1 + len(destinations.living(session))
            return fleet, Wall(wall.groups, wall.lines, days), stores

    fleet, wall, stores = await api.turns.run(read)
    if request.query_params.get("format"):
        chosen = [tile for tile in fleet.tiles if filters.takes(tile)]
        return exports.table(request, "databases", [_row(tile) for tile in chosen])
    context = {
        "fleet": fleet,
        "wall": wall,
        "filters": filters,
        "stores": stores,
        "todo": [tile for tile in fleet.tiles if tile.has_trouble],
        "max_todo": MAX_TODO,
        "upcoming": _upcoming(fleet.tiles, frame.now),
        "facts": _facts(fleet, frame.now),
        "draw_wall": draw_wall,
        "tones": TONES,
        "state_words": WORDS,
        "State": State,
        "Status": Status,
        "Code": Code,
        "unproven": sum(
            any(reason.code is Code.UNPROVEN for reason in tile.verdict.reasons)
            for tile in fleet.tiles
        ),
    }
    page = Page("Overview", "overview", live="fleet")
    return show(request, "overview.html", page, frame, context)


def _wall(fleet: Fleet, filters: Filters) -> Wall:
    tiles = [tile for tile in fleet.tiles if filters.takes(tile)]
    groups = views.by_project(tiles)
    if filters.narrow or len(fleet.tiles) <= WHOLE_WALL:
        return Wall(groups, {})
    quiet = {
        project: group
        for project, group in groups.items()
        if not any(tile.has_trouble for tile in group)
    }
    loud = {
        project: [tile for tile in group if tile.has_trouble]
        for project, group in groups.items()
        if project not in quiet
    }
    return Wall(loud, quiet)


def _upcoming(tiles: Sequence[Tile], now: int) -> tuple[Sequence[Tile], int]:
    """The next that are due, and how many more are in the next hour."""
    due = sorted(
        (tile for tile in tiles if tile.next_due is not None and tile.state is not State.PAUSED),
        key=lambda tile: tile.next_due or 0,
    )
    soon = sum(1 for tile in due if (tile.next_due or 0) < now + DAY_MS // 24)
    return due[:_NEXT], max(soon - _NEXT, 0)


def _facts(fleet: Fleet, now: int) -> dict[str, Any]:
    planned = [
        tile
        for tile in fleet.tiles
        if tile.last_good is not None and tile.state not in (State.NO_PLAN, State.PAUSED)
    ]
    by_age = sorted(planned, key=lambda tile: tile.last_good or 0)
    proven = [tile for tile in fleet.tiles if tile.proof_ms is not None]

    def ended(kinds: Sequence[Kind], *statuses: Status) -> int:
        return sum(
            count
            for (kind, status), count in fleet.ended.items()
            if kind in kinds and status in statuses
        )

    taking, restoring = tuple(TAKING), tuple(RESTORING)
    return {
        "oldest": by_age[:2],
        "slowest": max(proven, key=lambda tile: tile.proof_ms or 0, default=None),
        "good": ended(taking, Status.COMPLETED),
        "failed": ended(taking, Status.FAILED, Status.NOT_SUPPORTED),
        "drills": ended((Kind.DRILL,), Status.COMPLETED, Status.FAILED),
        "restores": ended(restoring, Status.COMPLETED, Status.FAILED),
        "bytes": sum(tile.bytes for tile in fleet.tiles),
        "now": now,
    }


def _row(tile: Tile) -> dict[str, object]:
    """One line of the table's file."""
    return {
        "project": tile.project_id,
        "database": tile.id,
        "name": tile.name,
        "type": tile.kind,
        "version": tile.version,
        "state": str(tile.state),
        "reasons": "; ".join(reason.sentence for reason in tile.verdict.reasons),
        "lastGoodAt": exports.instant(tile.last_good),
        "nextDueAt": exports.instant(tile.next_due),
        "provenAt": exports.instant(tile.proven),
        "proofSeconds": None if tile.proof_ms is None else tile.proof_ms / 1000,
        "bytes": tile.bytes,
    }
