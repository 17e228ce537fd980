"""Adopts backups in a store that an installation whose catalogue is lost left there."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, SecretStr, ValidationError
from starlette.responses import Response

from holdfast.api.places import destination_at
from holdfast.api.v1.destinations import DESTINATION, Updater
from holdfast.catalog.archiving import archives
from holdfast.catalog.schema import Addon, Copy, Document
from holdfast.catalog.storage import adopted
from holdfast.contracts.store import ObjectStore
from holdfast.domain.access import Caller
from holdfast.domain.adoption import SurveyedAddon, SurveyProblem
from holdfast.domain.errors import Failure, Invalid
from holdfast.http.auth import require_all_projects
from holdfast.http.state import Api, State
from holdfast.http.writing import Writing
from holdfast.kit import ids
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.repository import add_key, open_repository
from holdfast.usecases.adoption import survey
from holdfast.usecases.adoption.adopt import take_in
from holdfast.usecases.adoption.archive_rows import take_in_archive
from holdfast.usecases.adoption.archive_survey import SurveyedArchive, survey_archive
from holdfast.usecases.archiving.layout import prefix_of
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import StrictForm
from holdfast.views import backups as views
from holdfast.views.protection.archives import window
from holdfast.views.shapes.backups import Adopted, AdoptedArchive, AdoptionProblem
from holdfast.views.shapes.base import One

router = APIRouter(tags=["snapshots"])

_ADDONS_AT_ONCE = 20
_KEY_USER = "holdfast"
"""The user name of the key that is added to an adopted repository."""


class AdoptionForm(StrictForm):
    """`passphrase` is that of the store's recovery kit; without it only dumps are adopted. `after`
    continues an answer that had a `next`. `trusted`: the caller vouches that only Holdfast wrote to
    the store, so that dumps without a stamp of this installation (its master key is another one)
    get their roles, owners and definers back when they are restored."""

    passphrase: SecretStr | None = None
    trusted: bool = False
    after: Annotated[str | None, Field(max_length=130)] = None


@dataclass(frozen=True)
class _Visit:
    """Surveys one store, before anything is written to the catalogue."""

    api: Api
    store: ObjectStore
    destination_pk: int | None
    passphrase: Secret | None
    trusted: bool

    def at(
        self, whole: survey.StoreSurvey, addon: tuple[str, str]
    ) -> Iterator[SurveyedAddon | SurveyProblem]:
        def is_ours(manifest: Document) -> bool:
            return self.trusted or survey.is_stamped(self.api.stamp, manifest)

        dumps = whole.dumps.get(addon, {})
        yield from survey.dumps(self.store, dumps, self._known(dumps.keys()), is_ours)
        for prefix in whole.repositories.get(addon, ()):
            owner = self._owner(prefix)
            if owner is None or adopted.MARK in owner.spec:  # others were made here
                yield from survey.snapshots(self.store, prefix, self.passphrase, self._known)

    def archives(
        self,
        whole: survey.StoreSurvey,
        addon: tuple[str, str],
        items: list[SurveyedAddon | SurveyProblem],
    ) -> Iterator[SurveyedArchive]:
        """The archived logs of an addon, which lie in the platform's store; why one cannot be read
        is added to `items`."""
        if self.destination_pk is not None or self.passphrase is None:
            return
        for prefix in whole.repositories.get(addon, ()):
            owner = self._owner(prefix)
            with self.api.catalog.read() as session:
                is_known = owner is not None and archives.of_addon(session, owner.pk) is not None
            if is_known or (owner is not None and adopted.MARK not in owner.spec):
                continue
            uid = prefix.split("/")[3]
            stored = self.store.list(prefix_of(*addon, uid))
            is_broken = any(isinstance(i, SurveyProblem) and i.location == prefix for i in items)
            if is_broken or next(iter(stored), None) is None:
                continue
            try:
                key = survey.archive_key_of(self.store, prefix, self.passphrase)
                if key is not None:
                    surveyed = SurveyedArchive(*addon, uid, key)
                    guard = Guard(self.api.clock)
                    yield survey_archive(self.store, surveyed, self.api.engines, guard)
            except (Failure, ValidationError) as error:
                why = error.message if isinstance(error, Failure) else "its root.json is not ours"
                items.append(SurveyProblem(f"archive/{'/'.join(addon)}/{uid}/", why))

    def _known(self, uids: Collection[str]) -> set[str]:
        with self.api.catalog.read() as session:
            return adopted.known(session, uids, self.destination_pk)

    def _owner(self, prefix: str) -> Addon | None:
        with self.api.catalog.read() as session:
            return adopted.owner(session, prefix, self.destination_pk)

    def add_own_key(self, adoptable: SurveyedAddon) -> Secret | None:
        """Adds a password of ours to a repository, beside its owner's, and returns it.

        None for dumps, and for a repository to which an earlier adoption added one.
        """
        if not adoptable.repository or self.passphrase is None or self._owner(adoptable.repository):
            return None
        password = Secret(ids.password())
        repository = open_repository(self.store, adoptable.repository, self.passphrase)
        add_key(repository, password, _KEY_USER, self.api.clock.now() * 1_000_000)
        return password


@router.post(f"{DESTINATION}/adopt", response_model=One[Adopted])
def adopt_destination(
    api: State, writing: Writing, caller: Updater, destination_id: str, form: AdoptionForm
) -> Response:
    """Adopts backups here that no catalogue entry names. Their addons count as deleted."""
    require_all_projects(caller)
    with api.catalog.read() as session:
        destination_pk = destination_at(session, caller, destination_id).pk
    return _adopt(api, writing, caller, destination_pk, form)


@router.post("/platform-store/adopt", response_model=One[Adopted])
def adopt_platform(api: State, writing: Writing, caller: Updater, form: AdoptionForm) -> Response:
    """Adopts backups in the platform's own store."""
    require_all_projects(caller)
    return _adopt(api, writing, caller, None, form)


def _adopt(
    api: Api, writing: Writing, caller: Caller, destination_pk: int | None, form: AdoptionForm
) -> Response:
    secret = form.passphrase
    passphrase = Secret(secret.get_secret_value()) if secret is not None else None
    visit = _Visit(api, api.open_store(destination_pk), destination_pk, passphrase, form.trusted)
    whole = survey.survey(visit.store)
    rest = [addon for addon in whole.addons if "/".join(addon) > (form.after or "")]
    now, later = rest[:_ADDONS_AT_ONCE], rest[_ADDONS_AT_ONCE:]
    items = [item for addon in now for item in visit.at(whole, addon)]
    logs = [archive for addon in now for archive in visit.archives(whole, addon, items)]
    adoptable = [
        (item, visit.add_own_key(item)) for item in items if isinstance(item, SurveyedAddon)
    ]
    problems = [item for item in items if isinstance(item, SurveyProblem)]

    def keep(context: Context) -> Adopted:
        copies: list[Copy] = []
        for item, password in adoptable:
            try:
                copies += take_in(context, destination_pk, item, password)
            except Invalid as error:
                problems.append(SurveyProblem(f"{item.project}/{item.addon}", error.message))
        rows = [take_in_archive(context, archive) for archive in logs]
        return Adopted(
            archives=[
                AdoptedArchive(
                    project_id=archive.project,
                    addon_id=archive.addon,
                    **dict(window(context.session, row.addon_pk)),
                )
                for archive, row in zip(logs, rows, strict=True)
                if row is not None
            ],
            backups=views.stored(context.session, copies),
            problems=[
                AdoptionProblem(where=problem.location, problem=problem.reason)
                for problem in problems
            ],
            next="/".join(now[-1]) if later else None,
        )

    return writing.change(caller, keep)
