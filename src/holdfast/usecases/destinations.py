"""Backup destinations: add, patch, delete. The edge probes a bucket before any of this."""

from collections.abc import Mapping
from typing import Any

from holdfast.catalog import addons, destinations, projects
from holdfast.catalog.schema import Destination
from holdfast.catalog.storage import copies, deletions
from holdfast.catalog.work import schedules
from holdfast.domain.errors import Conflict, Invalid
from holdfast.domain.naming import slug
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import Credentials, DestinationForm, DestinationPatch
from holdfast.usecases.names import name_taken

NOTHING: Mapping[str, object] = {}


def driver_options(credentials: Credentials, prefix: str) -> dict[str, Any]:
    """As the store driver takes them."""
    return {
        **_public(credentials),
        "prefix": prefix,
        "secret_key": Secret(credentials.secret_key.get_secret_value()),
    }


def _public(credentials: Credentials) -> dict[str, Any]:
    return credentials.model_dump(exclude={"secret_key"})


def _seal(context: Context, destination_id: str, credentials: Credentials) -> str:
    secret = Secret(credentials.secret_key.get_secret_value())
    return context.services.sealer.seal(secret, destinations.context(destination_id))


def add(
    context: Context, form: DestinationForm, settings: Mapping[str, object] = NOTHING
) -> Destination:
    """`settings`: how the service wants to be spoken to."""
    identifier = slug(form.name)
    taken = destinations.find(context.session, identifier)
    if taken is not None:
        raise name_taken("a backup destination", identifier)
    _require_own_place(context, form.credentials, form.prefix)
    owner = _owner(context, form.project_id)
    destination = Destination(
        id=identifier,
        name=form.name,
        description=form.description,
        kind=form.type,
        prefix=form.prefix,
        options={**_public(form.credentials), **settings},
        sealed_secret=_seal(context, identifier, form.credentials),
        project_pk=owner,
        granted=_granted(context, form.projects),
        created=context.now,
        updated=context.now,
    )
    context.session.add(destination)
    context.session.flush()
    return destination


def _owner(context: Context, wanted: str | None) -> int | None:
    """The owning project's key; None: the installation.

    A token of one project adds for that one.
    """
    seen = context.caller.projects
    if wanted is None and seen is not None:
        if len(seen) != 1:
            problem = "is required: the token is restricted to several projects"
            raise Invalid(f"projectId {problem}", {"projectId": problem})
        (wanted,) = seen
    return None if wanted is None else _project(context, wanted, "projectId")


def _project(context: Context, wanted: str, path: str) -> int:
    project = projects.find(context.session, wanted) if context.caller.sees(wanted) else None
    if project is None:
        problem = f"there is no project {wanted!r}"
        raise Invalid(f"{path}: {problem}", {path: problem})
    return project.pk


def _granted(context: Context, wanted: list[str] | None) -> list[int] | None:
    if wanted is None:
        return None
    named = dict.fromkeys(wanted)
    return [_project(context, name, f"projects[{at}]") for at, name in enumerate(named)]


def _grant(context: Context, destination: Destination, wanted: list[str] | None) -> None:
    """Conflict while schedules of a project that would lose it send backups there."""
    destination.granted = _granted(context, wanted)
    whose = destinations.possession(destination)
    using = schedules.using(context.session, destination.pk)
    owners = addons.by_pk(context.session, {schedule.addon_pk for schedule in using})
    lose = [s.id for s in using if not whose.usable_by(owners[s.addon_pk].project_pk)]
    if lose:
        raise Conflict(
            "schedules of projects that would lose this destination send backups there;"
            " change them first",
            {"schedules": lose},
        )


def patch(
    context: Context,
    destination: Destination,
    form: DestinationPatch,
    settings: Mapping[str, object] = NOTHING,
) -> None:
    """Only what was sent changes; the id stays. `settings`: how the service wants to be spoken to,
    when that was looked at. Deletions that wait follow the destination to another address: the
    edge has made sure that it is the same store."""
    before = destinations.place_of(destination)
    if form.name is not None:
        destination.name = form.name
    if "description" in form.model_fields_set:
        destination.description = form.description
    if "projects" in form.model_fields_set:
        _grant(context, destination, form.projects)
    if form.credentials is not None:
        _require_own_place(context, form.credentials, destination.prefix, but=destination.pk)
        destination.options = {**_public(form.credentials), **settings}
        destination.sealed_secret = _seal(context, destination.id, form.credentials)
    elif settings:
        destination.options = {**destination.options, **settings}
    after = destinations.place_of(destination)
    if after != before:
        deletions.follow(context.session, destination.pk, after)
    destination.updated = context.now


def _require_own_place(
    context: Context, credentials: Credentials, prefix: str, but: int | None = None
) -> None:
    """Two destinations in one place would delete each other's objects."""
    wanted = (credentials.endpoint, credentials.bucket_name, prefix)
    for other in destinations.living(context.session):
        place = (other.options["endpoint"], other.options["bucket_name"], other.prefix)
        if other.pk != but and place == wanted:
            known = destinations.is_visible(context.session, context.caller, other)
            who = f"the destination {other.id!r}" if known else "another destination"
            raise Conflict(
                f"{who} keeps its backups there; choose another prefix",
                {"prefix": f"{prefix!r} of this bucket is taken by {who}"},
            )


def delete(context: Context, destination: Destination) -> None:
    _require_no_schedules(context, destination)
    kept = copies.names_at(context.session, destination.pk, limit=20)
    pending = deletions.pending_at(context.session, destination.pk)
    if kept or pending:
        raise Conflict(
            "backups are kept at this destination; delete them first",
            {"backups": list(kept), "pendingDeletions": pending},
        )
    destination.deleted = context.now


def _require_no_schedules(context: Context, destination: Destination) -> None:
    using = schedules.using(context.session, destination.pk)
    if using:
        owners = addons.by_pk(context.session, {schedule.addon_pk for schedule in using})
        named = [
            f"{schedule.id} ({schedule.interval}, addon {owners[schedule.addon_pk].id})"
            for schedule in using
        ]
        raise Conflict(
            "schedules send backups to this destination; delete them first", {"schedules": named}
        )
