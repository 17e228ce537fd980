"""Backup destinations: add, patch, delete. The API probes the bucket before."""

from collections.abc import Mapping
from typing import Any

from holdfast.catalog import addons, destinations, projects
from holdfast.catalog.schema import Addon, Destination
from holdfast.catalog.storage import copies, deletions
from holdfast.catalog.work import schedules
from holdfast.domain.errors import Conflict, Invalid
from holdfast.domain.naming import name_taken, slug
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import Credentials, DestinationForm, DestinationPatch

NOTHING: Mapping[str, object] = {}


def driver_options(credentials: Credentials, prefix: str) -> dict[str, Any]:
    """The options of the store driver."""
    return {
        **_public(credentials),
        "prefix": prefix,
        "secret_key": Secret(credentials.secret_key.get_secret_value()),
    }


def _public(credentials: Credentials) -> dict[str, Any]:
    return credentials.model_dump(exclude={"secret_key"})


_OWN_WORDS = ("platform", "new")
"""`platform` names the platform store in paths; `new` is the page that adds a destination."""


def _seal(context: Context, destination_id: str, credentials: Credentials) -> str:
    secret = Secret(credentials.secret_key.get_secret_value())
    return context.services.sealer.seal(secret, destinations.context(destination_id))


def known_destination(context: Context, addon: Addon, destination_id: str, path: str) -> int:
    """The key of a destination; Invalid names `path` if the addon's project may not use it."""
    row = destinations.find(context.session, destination_id)
    visible = row is not None and destinations.is_visible(context.session, context.caller, row)
    if row is None or row.id != destination_id or not visible:
        problem = f"there is no backup destination {destination_id!r}"
        raise Invalid(problem, {path: problem})
    if not destinations.possession(row).usable_by(addon.project_pk):
        problem = f"the destination {destination_id!r} is not granted to the addon's project"
        raise Invalid(f"{problem}; its owner can add the project to it", {path: problem})
    return row.pk


def add(
    context: Context, form: DestinationForm, settings: Mapping[str, object] = NOTHING
) -> Destination:
    """Adds a destination. `settings`: what probing the service found out about it."""
    identifier = slug(form.name)
    if identifier in _OWN_WORDS:
        problem = f"{identifier!r} is a word of Holdfast's own addresses; choose another"
        raise Invalid(f"name: {problem}", {"name": problem})
    existing = destinations.find(context.session, identifier)
    if existing is not None:
        raise name_taken("a backup destination", identifier)
    _require_own_address(context, form.credentials, form.prefix)
    project_id, visible = form.project_id, context.caller.projects
    if project_id is None and visible is not None:  # a token of one project adds for it
        if len(visible) != 1:
            problem = "is required: the token is restricted to several projects"
            raise Invalid(f"projectId {problem}", {"projectId": problem})
        (project_id,) = visible
    owner = None if project_id is None else _project(context, project_id, "projectId")
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


def _project(context: Context, project_id: str, path: str) -> int:
    project = (
        projects.find(context.session, project_id) if context.caller.sees(project_id) else None
    )
    if project is None:
        problem = f"there is no project {project_id!r}"
        raise Invalid(f"{path}: {problem}", {path: problem})
    return project.pk


def _granted(context: Context, project_ids: list[str] | None) -> list[int] | None:
    if project_ids is None:
        return None
    named = dict.fromkeys(project_ids)
    return [_project(context, name, f"projects[{at}]") for at, name in enumerate(named)]


def patch(
    context: Context,
    destination: Destination,
    form: DestinationPatch,
    settings: Mapping[str, object] = NOTHING,
) -> None:
    """Changes the fields that were sent; the id stays. `settings`: what probing the service found
    out, if it was probed. Waiting deletions follow the destination to its new address: the API has
    made sure that it is the same store."""
    before = destinations.address_of(destination)
    if form.name is not None:
        destination.name = form.name
    if "description" in form.model_fields_set:
        destination.description = form.description
    if "projects" in form.model_fields_set:
        destination.granted = _granted(context, form.projects)
        ownership = destinations.possession(destination)
        using = schedules.using(context.session, destination.pk)
        owners = addons.by_pk(context.session, {schedule.addon_pk for schedule in using})
        lose = [s.id for s in using if not ownership.usable_by(owners[s.addon_pk].project_pk)]
        if lose:
            raise Conflict(
                "schedules of projects that would lose this destination send backups there;"
                " change them first",
                {"schedules": lose},
            )
    if form.credentials is not None:
        _require_own_address(context, form.credentials, destination.prefix, but=destination.pk)
        destination.options = {**_public(form.credentials), **settings}
        destination.sealed_secret = _seal(context, destination.id, form.credentials)
    elif settings:
        destination.options = {**destination.options, **settings}
    after = destinations.address_of(destination)
    if after != before:
        deletions.follow(context.session, destination.pk, after)
    destination.updated = context.now


def _require_own_address(
    context: Context, credentials: Credentials, prefix: str, but: int | None = None
) -> None:
    """Conflict if another destination has this address: they would delete each other's objects."""
    requested = (credentials.endpoint, credentials.bucket_name, prefix)
    for other in destinations.living(context.session):
        address = (other.options["endpoint"], other.options["bucket_name"], other.prefix)
        if other.pk != but and address == requested:
            visible = destinations.is_visible(context.session, context.caller, other)
            owner = f"the destination {other.id!r}" if visible else "another destination"
            raise Conflict(
                f"{owner} keeps its backups there; choose another prefix",
                {"prefix": f"{prefix!r} of this bucket is taken by {owner}"},
            )


def delete(context: Context, destination: Destination) -> None:
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
    backup_ids = copies.names_at(context.session, destination.pk, limit=20)
    pending = deletions.pending_at(context.session, destination.pk)
    if backup_ids or pending:
        raise Conflict(
            "backups are kept at this destination; delete them first",
            {"backups": list(backup_ids), "pendingDeletions": pending},
        )
    destination.deleted = context.now
