"""Switches archives on and off, and orders the snapshots that their windows begin with."""

from holdfast.catalog import addons, projects
from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Addon, ArchiveRow
from holdfast.catalog.work import operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.archive import Followable
from holdfast.contracts.engine import Address, Engine
from holdfast.contracts.store import ObjectStore
from holdfast.domain.access import BUILT_IN, Caller
from holdfast.domain.addon import AddonStatus
from holdfast.domain.errors import Conflict
from holdfast.domain.operation import Kind
from holdfast.kit import ids
from holdfast.kit.seal import Sealer, Secret
from holdfast.pipeline import age
from holdfast.usecases import backups
from holdfast.usecases.archiving.layout import Layout, prefix_of
from holdfast.usecases.context import Context, Services
from holdfast.usecases.forms.archives import ArchiveForm
from holdfast.usecases.forms.forms import BackupForm
from holdfast.usecases.toolbox import Toolbox

DEFAULT_DAYS = 7
DEFAULT_INTERVAL_S = 10
_SELF = Caller("archive", "the archive", "owner", BUILT_IN["owner"], None)


def require_followable(engine: Engine) -> Followable:
    """Conflict for engines whose log cannot be archived."""
    if not isinstance(engine, Followable):
        raise Conflict(f"{engine.title} cannot be recovered to a point in time")
    return engine


def require_ready(engine: Followable, address: Address, *, unbounded: bool) -> None:
    """Conflict that names what the server lacks, and the lines that cure it."""
    problems = engine.lacks(address, unbounded=unbounded)
    if problems:
        raise Conflict(
            f"the server's log cannot be archived: {'; '.join(problems)}",
            {"lacks": list(problems)},
        )


def enable(context: Context, addon: Addon, form: ArchiveForm) -> ArchiveRow:
    """Begins or goes on to archive. What the server lacks was asked before. A managed server that
    keeps its log only if told to is started anew."""
    engine = require_followable(context.services.engines(addon.kind))
    if addon.managed and not engine.follows(addon.version):
        raise Conflict(f"this server ({addon.version}) cannot be recovered to a point in time")
    archive = archives.of_addon(context.session, addon.pk)
    runs = addon.managed and addon.status == AddonStatus.RUNNING
    if engine.restarts and runs and not (archive and archive.wanted):
        addon.status = AddonStatus.POST_DEPLOYMENT
        order = Order(addon.pk, Kind.RESTART, addons.lane(addon), {})
        operations.create(context.session, context.services.queue, order, context.now)
    if archive is None:
        identity, recipient = age.new_identity()
        sealed = context.services.sealer.seal(Secret(identity), archives.context(addon.uid))
        archive = ArchiveRow(
            addon_pk=addon.pk,
            wanted=True,
            days=DEFAULT_DAYS,
            interval_s=DEFAULT_INTERVAL_S,
            unbounded=False,
            # Of this installation alone: two that archive one server have a slot each.
            slot=f"holdfast_{ids.hex24()[:16]}",
            recipient=recipient,
            sealed_identity=sealed,
            fence=0,
            state=archives.IDLE,
            since=context.now,
            created=context.now,
        )
        context.session.add(archive)
    elif not archive.wanted:
        archive.state, archive.reason, archive.since = archives.IDLE, None, context.now
    archive.wanted = True
    sent = form.model_fields_set
    if form.days is not None:
        archive.days = form.days
    if form.interval_seconds is not None:
        archive.interval_s = form.interval_seconds
    if "unbounded" in sent:
        archive.unbounded = form.unbounded
    context.session.flush()
    return archive


def disable(context: Context, addon: Addon) -> ArchiveRow:
    """Archives no more; what is stored stays restorable as long as it is promised."""
    archive = archives.of_addon(context.session, addon.pk)
    if archive is None:
        raise Conflict("this addon keeps no archive")
    if archive.wanted:
        archive.wanted, archive.since = False, context.now
        archives.end_lines(context.session, archive.pk, "archiving was switched off", context.now)
    return archive


def switch(context: Context, addon: Addon, wanted: bool | None) -> None:
    """Switches archiving on or off as an addon's body says; None leaves it as it is."""
    if wanted:
        enable(context, addon, ArchiveForm())
    elif wanted is False and archives.of_addon(context.session, addon.pk) is not None:
        disable(context, addon)


def order_base(
    session: WriteSession, tools: Toolbox, addon: Addon, archive: ArchiveRow, since: int
) -> bool:
    """Orders a snapshot unless one that was ordered since then is good or on its way. It expires
    with the days that are promised, but not while a window begins with it."""
    if archives.is_base_coming(session, addon.pk, since):
        return False
    services = Services(tools.queue, tools.sealer, tools.node, tools.engines)
    context = Context(session, _SELF, tools.clock.now(), services)
    project = projects.get(session, addon.project_pk)
    form = BackupForm.model_validate({"retentionTime": archive.days})
    backups.create(context, project, addon, form)
    return True


def layout_of(tools: Toolbox, archive: ArchiveRow, addon: Addon) -> Layout:
    with tools.catalog.read() as session:
        return layout_in(session, tools.open_store(None), tools.sealer, archive, addon)


def layout_in(
    session: ReadSession, store: ObjectStore, sealer: Sealer, archive: ArchiveRow, addon: Addon
) -> Layout:
    """The archive's objects in `store`."""
    project = projects.get(session, addon.project_pk).id
    prefix = prefix_of(project, addon.id, addon.uid)
    identity = sealer.open(archive.sealed_identity, archives.context(addon.uid))
    return Layout(store, prefix, archive.recipient, identity, addon.kind, addon.version)
