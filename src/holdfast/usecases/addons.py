"""Addons: create, put, patch, delete, and the lifecycle of their servers.

A managed addon is a row and a `provision` operation; an attached one is only a row, because its
server, which the user runs, was probed before. An attached server is never stopped, reset or
removed.
"""

from dataclasses import dataclass

from holdfast.catalog import addons
from holdfast.catalog.schema import Addon, AddonEvent, Document, Project
from holdfast.catalog.work import operation_queries, operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.engine import Address, Probe
from holdfast.contracts.files import Rooted
from holdfast.domain.addon import AddonStatus, Desired, is_newer_minor, pick_version
from holdfast.domain.errors import Conflict, Invalid
from holdfast.domain.naming import name_taken, slug
from holdfast.domain.operation import Kind
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases import forks
from holdfast.usecases.archiving import archives
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import AddonForm, AddonPatch, ScaleForm
from holdfast.usecases.schedules import schedules

DEFAULT_USER = "holdfast"
DEFAULT_DATABASE = "defaultdb"


@dataclass(frozen=True)
class AddonServer:
    """The server of an addon; `probe` is the answer of an attached one, None for a managed one."""

    address: Address
    version: str
    probe: Probe | None


def managed_address(form: AddonForm, port: int) -> Address:
    credentials = form.custom_credentials
    return Address(
        host="127.0.0.1",
        port=port,
        user=DEFAULT_USER,
        password=Secret(ids.password()),
        database=credentials.db_name if credentials else DEFAULT_DATABASE,
    )


def create(context: Context, project: Project, form: AddonForm, server: AddonServer) -> Addon:
    identifier = slug(form.name)
    if addons.find(context.session, project.pk, identifier) is not None:
        raise name_taken("an addon", identifier)
    managed = server.probe is None
    uid = ids.uid()
    address = server.address
    addon = Addon(
        uid=uid,
        project_pk=project.pk,
        id=identifier,
        name=form.name,
        description=form.description,
        kind=form.type,
        version=server.version,
        managed=managed,
        node=context.services.node if managed or _is_local(context, form.type) else None,
        desired=Desired.RUNNING,
        status=AddonStatus.PRE_DEPLOYMENT if managed else AddonStatus.RUNNING,
        host=address.host,
        port=address.port,
        user=address.user,
        database=address.database,
        options=dict(address.options),
        sealed_password=context.services.sealer.seal(address.password, addons.context(uid)),
        tags=form.tags or [],
        spec=_spec(form),
        created=context.now,
        updated=context.now,
    )
    context.session.add(addon)
    context.session.flush()
    if addon.managed:
        _order(context, addon, Kind.PROVISION)
    if form.source is not None:
        forks.start(context, project, addon, form.source)
    schedules.replace_all(context, addon, form.backup_schedules or ())
    archives.switch(context, addon, form.pitr_enabled)
    return addon


def _is_local(context: Context, kind: str) -> bool:
    """Attached files are on the machine that probed them."""
    return isinstance(context.services.engines(kind), Rooted)


def _spec(form: AddonForm) -> Document:
    """The caller's choices as the API shows them, without secrets."""
    return {
        "billing": form.billing.model_dump(by_alias=True, exclude_none=True)
        if form.billing
        else None,
        "source": form.source.model_dump(mode="json", by_alias=True, exclude_none=True)
        if form.source
        else None,
    }


def _order(context: Context, addon: Addon, kind: Kind) -> None:
    order = Order(addon.pk, kind, addons.lane(addon), {})
    operations.create(context.session, context.services.queue, order, context.now)


def patch(context: Context, addon: Addon, form: AddonPatch, server: AddonServer | None) -> Addon:
    """Changes the fields that were sent. `server` is an attached addon at its new address."""
    sent = form.model_fields_set
    if "description" in sent:
        addon.description = form.description
    if "tags" in sent:
        addon.tags = form.tags or []
    if server is not None:
        if addon.managed:
            problem = "a managed addon has no connection string of its own"
            raise Invalid(problem, {"connectionString": problem})
        address = server.address
        addon.node = context.services.node if _is_local(context, addon.kind) else None
        addon.host, addon.port = address.host, address.port
        addon.user, addon.database = address.user, address.database
        addon.options, addon.version = dict(address.options), server.version
        secret = context.services.sealer.seal(address.password, addons.context(addon.uid))
        addon.sealed_password = secret
    if form.backup_schedules is not None:
        schedules.replace_all(context, addon, form.backup_schedules)
    archives.switch(context, addon, form.pitr_enabled)
    addon.updated = context.now
    return addon


def delete(context: Context, addon: Addon) -> None:
    """Deletes its schedules, aborts its operations and removes a managed server with its data.

    The addon's backups stay: they can be restored elsewhere through their origin.
    """
    schedules.delete_all(context, addon)
    for operation in operation_queries.open_of_addon(context.session, addon.pk):
        operations.abort(
            context.session,
            context.services.queue,
            operation.id,
            "the addon was deleted",
            context.now,
        )
    archives.switch(context, addon, False)
    addon.deleted = context.now
    addon.desired, addon.status = Desired.DELETED, AddonStatus.DELETING
    _order(context, addon, Kind.DELETE)


def pause(context: Context, addon: Addon) -> None:
    _require_managed(addon, "paused")
    _require(addon, {AddonStatus.RUNNING, AddonStatus.ERROR}, "paused")
    addon.desired = Desired.PAUSED
    _order(context, addon, Kind.PAUSE)


def resume(context: Context, addon: Addon) -> None:
    _require_managed(addon, "resumed")
    if addon.desired != Desired.PAUSED:
        raise Conflict("the addon is not paused")
    addon.desired = Desired.RUNNING
    addon.status = AddonStatus.POST_DEPLOYMENT
    _order(context, addon, Kind.RESUME)


def restart(context: Context, addon: Addon) -> None:
    _require_managed(addon, "restarted")
    _require(addon, {AddonStatus.RUNNING, AddonStatus.ERROR, AddonStatus.FAILED}, "restarted")
    addon.status = AddonStatus.POST_DEPLOYMENT
    _order(context, addon, Kind.RESTART)


def reset(context: Context, addon: Addon) -> None:
    """Wipes all data; credentials and port stay. A fork is restored again from its source."""
    _require_managed(addon, "reset")
    _require(addon, {AddonStatus.RUNNING, AddonStatus.ERROR, AddonStatus.FAILED}, "reset")
    addon.status = AddonStatus.RESETTING
    _order(context, addon, Kind.RESET)
    forks.start_again(context, addon)


def scale(context: Context, addon: Addon, form: ScaleForm) -> None:
    _require_managed(addon, "scaled")
    chosen = form.model_dump(by_alias=True, exclude_none=True)
    addon.spec = {**addon.spec, "billing": {**(addon.spec.get("billing") or {}), **chosen}}
    addon.updated = context.now


def _require_managed(addon: Addon, verb: str) -> None:
    if not addon.managed:
        raise Conflict(f"the server of an attached addon is not ours, so it cannot be {verb}")


def _require(addon: Addon, allowed: set[AddonStatus], verb: str) -> None:
    if addon.desired != Desired.RUNNING or addon.status not in allowed:
        raise Conflict(f"the addon is {addon.status} and cannot be {verb} now")


def upgrade(context: Context, addon: Addon, requested: str) -> None:
    """Restarts a managed server under newer binaries of the same major version."""
    _require_managed(addon, "upgraded")
    _require(addon, {AddonStatus.RUNNING}, "upgraded")
    engine = context.services.engines(addon.kind)
    version = pick_version(requested, list(engine.versions()))
    if version is None:
        problem = f"version {requested!r} is not installed here"
        raise Invalid(problem, {"version": problem})
    if not is_newer_minor(version, addon.version, engine.series):
        problem = f"{version} is not a newer minor version of {addon.version}"
        raise Invalid(problem, {"version": problem})
    context.session.add(
        AddonEvent(
            id=ids.hex24(),
            addon_pk=addon.pk,
            old_version=addon.version,
            new_version=version,
            created=context.now,
        )
    )
    addon.version = version
    addon.status = AddonStatus.UPGRADING
    _order(context, addon, Kind.RESTART)
