"""Point-in-time recovery routes, for older clients that ask about it; Holdfast has none."""

from fastapi import APIRouter
from starlette.responses import Response

from holdfast.api.places import AtAddon
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.domain.errors import Conflict
from holdfast.http import answers
from holdfast.http.state import State
from holdfast.views.shapes.addons import PitrWindow
from holdfast.views.shapes.base import One

router = APIRouter(tags=["backups"])


@router.get(f"{ADDON}/pitr-window", response_model=One[PitrWindow])
def get_window(api: State, caller: Reader, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        at.addon(session, caller)
    return answers.one(PitrWindow(has_valid_window=False))


@router.post(f"{ADDON}/pitr")
def start_recovery(api: State, caller: Updater, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        at.addon(session, caller)
    raise Conflict("there is no point-in-time recovery; restore a backup instead")
