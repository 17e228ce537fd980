"""Taking in what an installation whose catalogue is lost left at a place."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, SecretStr
from starlette.responses import Response

from holdfast.api.places import destination_at
from holdfast.api.v1.destinations import DESTINATION, Updater
from holdfast.catalog.schema import Addon, Copy, Document
from holdfast.catalog.storage import adopted
from holdfast.contracts.store import ObjectStore
from holdfast.domain.access import Caller
from holdfast.domain.adoption import SurveyedAddon, SurveyProblem
from holdfast.domain.errors import Invalid
from holdfast.http.auth import require_all_projects
from holdfast.http.state import Api, State
from holdfast.http.writing import Writing
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.repository import add_key, open_repository
from holdfast.usecases.adoption import survey
from holdfast.usecases.adoption.adopt import take_in
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import StrictForm
from holdfast.views import backups as views
from holdfast.views.shapes.backups import Adopted, AdoptionProblem
from holdfast.views.shapes.base import One

router = APIRouter(tags=["snapshots"])

_ADDONS_AT_ONCE = 20
_WHO = "holdfast"
"""Whose key it is that is added to an adopted repository."""


class AdoptionForm(StrictForm):
    """`passphrase` is that of the place's recovery kit; without it only dumps are adopted. `after`
    goes on where an answer ended that had a `next`. `trusted`: the caller vouches that nobody else
    wrote to the place, so that dumps without a stamp of this installation (its master key is
    another one) get their roles, owners and definers back when they are restored."""

    passphrase: SecretStr | None = None
    trusted: bool = False
    after: Annotated[str | None, Field(max_length=130)] = None


@dataclass(frozen=True)
class _Visit:
    """One look at a place; the store is read before anything is written to the catalogue."""

    api: Api
    store: ObjectStore
    place: int | None
    passphrase: Secret | None
    trusted: bool

    def at(
        self, whole: survey.StoreSurvey, addon: tuple[str, str]
    ) -> Iterator[SurveyedAddon | SurveyProblem]:
        shelf = whole.dumps.get(addon, {})
        yield from survey.dumps(self.store, shelf, self._known(shelf.keys()), self._is_ours)
        for prefix in whole.repositories.get(addon, ()):
            owner = self._owner(prefix)
            if owner is None or adopted.MARK in owner.spec:  # else it was made here
                yield from survey.snapshots(self.store, prefix, self.passphrase, self._known)

    def _is_ours(self, manifest: Document) -> bool:
        return self.trusted or survey.is_stamped(self.api.stamp, manifest)

    def _known(self, uids: Collection[str]) -> set[str]:
        with self.api.catalog.read() as session:
            return adopted.known(session, uids, self.place)

    def _owner(self, prefix: str) -> Addon | None:
        with self.api.catalog.read() as session:
            return adopted.owner(session, prefix, self.place)

    def own_key(self, shelf: SurveyedAddon) -> Secret | None:
        """A password of ours for the shelf's repository, beside the owner's; None where there is
        none to make: for dumps, and where an adoption before made one."""
        if not shelf.repository or self.passphrase is None or self._owner(shelf.repository):
            return None
        password = Secret(ids.password())
        repository = open_repository(self.store, shelf.repository, self.passphrase)
        add_key(repository, password, _WHO, self.api.clock.now() * 1_000_000)
        return password


@router.post(f"{DESTINATION}/adopt", response_model=One[Adopted])
def adopt_destination(
    api: State, writing: Writing, caller: Updater, destination_id: str, form: AdoptionForm
) -> Response:
    """Takes in the backups here that no catalogue entry names. Their addons count as gone."""
    require_all_projects(caller)
    with api.catalog.read() as session:
        place = destination_at(session, caller, destination_id).pk
    return _adopt(api, writing, caller, place, form)


@router.post("/platform-store/adopt", response_model=One[Adopted])
def adopt_platform(api: State, writing: Writing, caller: Updater, form: AdoptionForm) -> Response:
    """The same for the platform's own store."""
    require_all_projects(caller)
    return _adopt(api, writing, caller, None, form)


def _adopt(
    api: Api, writing: Writing, caller: Caller, place: int | None, form: AdoptionForm
) -> Response:
    given = form.passphrase
    passphrase = Secret(given.get_secret_value()) if given is not None else None
    visit = _Visit(api, api.open_store(place), place, passphrase, form.trusted)
    whole = survey.survey(visit.store)
    rest = [addon for addon in whole.addons if "/".join(addon) > (form.after or "")]
    now, later = rest[:_ADDONS_AT_ONCE], rest[_ADDONS_AT_ONCE:]
    found = [each for addon in now for each in visit.at(whole, addon)]
    shelves = [(each, visit.own_key(each)) for each in found if isinstance(each, SurveyedAddon)]
    problems = [each for each in found if isinstance(each, SurveyProblem)]

    def keep(context: Context) -> Adopted:
        kept: list[Copy] = []
        for shelf, password in shelves:
            try:
                kept += take_in(context, place, shelf, password)
            except Invalid as error:
                problems.append(SurveyProblem(f"{shelf.project}/{shelf.addon}", error.message))
        return Adopted(
            backups=views.stored(context.session, kept),
            problems=[
                AdoptionProblem(where=each.location, problem=each.reason) for each in problems
            ],
            next="/".join(now[-1]) if later else None,
        )

    return writing.change(caller, keep)
