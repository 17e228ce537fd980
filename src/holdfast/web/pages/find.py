"""Finds a database, a project, a destination, a page or a setting by a part of its name."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from holdfast.http.state import of
from holdfast.views.dashboard import fleet
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls
from holdfast.web.live import hub_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Viewing
from holdfast.web.showing.tiles import TONES, WORDS

router = APIRouter()

_MOST = 50
_PAGES = (
    ("Overview", "/", "is everything safe"),
    ("Databases and projects", "/projects", "add, rename, delete"),
    ("Proof and drills", "/proof", "restore times, evidence, reports, audit"),
    ("Retention", "/retention", "what goes, deletions, what if, expiry"),
    ("Destinations", "/places", "stores, buckets, S3, recovery kit, findings"),
    ("Alarms and channels", "/alarms", "mail, webhook, pager, acknowledge, snooze"),
    ("Activity", "/activity", "audit log, changes, history"),
    ("Access", "/access", "users, tokens, roles, sign-on"),
    ("Settings", "/settings", "doctor, workers, objective, support"),
    ("Your account", "/account", "password, passkeys, sessions"),
    ("Add a database", "/addons/new", "attach, run, fork"),
)


@router.get("/find")
async def find(request: Request, viewer: Viewing) -> Response:
    text = request.query_params.get("q", "").strip()
    low, api = text.lower(), of(request)
    frame = await frame_of(request, viewer)

    hub, edition = hub_of(request), hub_of(request).edition()

    def read() -> fleet.Fleet:
        with api.catalog.read() as session:
            tiles = hub.tiles.of(session, viewer.caller, edition)
            return fleet.fleet(session, viewer.caller, tiles, frame.now)

    everything = await api.turns.run(read)
    destinations = await Calls(request, viewer.caller).ask(
        "GET", "/v1/backup-destinations", query={"per_page": 100}
    )
    tiles = [
        tile
        for tile in everything.tiles
        if low and low in f"{tile.project_id}/{tile.id} {tile.name}".lower()
    ]
    names = everything.project_names.items()
    projects = [(key, name) for key, name in names if low and low in f"{key} {name}".lower()]
    places = [
        row
        for row in destinations.items("backupDestinations")
        if low and low in f"{row['id']} {row['name']}".lower()
    ]
    settings = [
        line
        for line in request.app.state.settings
        if low and frame.sees_all and low in f"{line.name} {line.description}".lower()
    ]
    context = {
        "text": text,
        "tiles": tiles[:_MOST],
        "projects": projects[:_MOST],
        "places": places[:_MOST],
        "pages": [page for page in _PAGES if low in f"{page[0]} {page[2]}".lower()],
        "settings": settings[:_MOST],
        "tones": TONES,
        "state_words": WORDS,
    }
    return show(request, "find.html", Page("Find"), frame, context)
