"""Makes the API's views of addons."""

from collections.abc import Sequence

from holdfast.catalog import addons
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Document, Project
from holdfast.catalog.work import operation_queries
from holdfast.catalog.work import schedules as rows
from holdfast.contracts.archive import Replayable
from holdfast.contracts.engine import Dumpable, Engine
from holdfast.contracts.foreign import Importable, Ingestible
from holdfast.contracts.local_servers import Hostable
from holdfast.contracts.snapshots import Snapshottable
from holdfast.domain.addon import NEIGHBOURS, AddonStatus, is_newer_minor, shown_status
from holdfast.kit.clock import rfc3339
from holdfast.kit.processes.hosting import is_unprivileged
from holdfast.kit.seal import Sealer
from holdfast.views import schedules
from holdfast.views.projects import LOCAL, cluster
from holdfast.views.shapes.addons import (
    AddonConfig,
    AddonItem,
    AddonSpec,
    AddonType,
    AddonView,
    Choice,
    CredentialsView,
    Deployment,
    Features,
    Networking,
    PastUpgrade,
    Resources,
    Server,
    Upgrade,
    UpgradeState,
    VersionView,
)
from holdfast.views.shapes.projects import SpecType

_TLS_OPTIONS = ("sslmode", "ssl-mode")
_UNSAFE_MODES = ("disable", "allow", "prefer", "disabled", "preferred")
"""Modes in which a connection may go without TLS."""
_STORAGE_MB = [1024, 4096, 10240, 20480, 51200, 102400]


def items(
    session: ReadSession, project: Project, rows: Sequence[Addon], team: str
) -> list[AddonItem]:
    busy = operation_queries.busy_with(session, [addon.pk for addon in rows])
    return [
        AddonItem(
            id=addon.id,
            name=addon.name,
            app_id=f"/{team}/{project.id}/{addon.id}",
            tags=addon.tags,
            description=addon.description,
            spec=SpecType(type=addon.kind),
            status=shown_status(AddonStatus(addon.status), busy.get(addon.pk)),
            managed=addon.managed,
        )
        for addon in rows
    ]


def view(session: ReadSession, project: Project, addon: Addon, team: str) -> AddonView:
    item = items(session, project, [addon], team)[0]
    billing: Document = addon.spec.get("billing") or {}
    config = AddonConfig(
        version_tag=addon.version,
        lifecycle_status="active",
        deployment=Deployment(
            replicas=billing.get("replicas", 1),
            storage_class=billing.get("storageClass") or "ssd",
            storage_size=billing.get("storage", 0),
            plan_id=billing.get("deploymentPlan", "attached"),
            region=project.region or LOCAL,
        ),
        networking=networking(addon),
    )
    return AddonView(
        **item.model_dump(exclude={"spec"}),
        created_at=rfc3339(addon.created),
        updated_at=rfc3339(addon.updated),
        cluster=cluster(project),
        spec=AddonSpec(type=addon.kind, config=config),
        type=addon.kind,
        version=addon.version,
        billing=addon.spec.get("billing"),
        source=addon.spec.get("source"),
        address=Server(host=addon.host, port=addon.port, database=addon.database, user=addon.user),
        backup_schedules=schedules.views(session, rows.of_addon(session, addon.pk)),
        reason=_reason(session, addon),
    )


def _reason(session: ReadSession, addon: Addon) -> str | None:
    """Returns why the addon is not well, or a warning about a server that is.

    A failed addon's reason is that of the operation that failed.
    """
    if addon.status == AddonStatus.FAILED:
        return operation_queries.last_failure(session, addon.pk)
    shared = addon.managed and addon.node is not None and is_unprivileged()
    if addon.reason or not shared:
        return addon.reason
    strange = addons.has_foreign_neighbours(session, str(addon.node), addon)
    return NEIGHBOURS if strange else None


def networking(addon: Addon) -> Networking:
    return Networking(
        tls_enabled=any(
            addon.options.get(name, "disable") not in _UNSAFE_MODES for name in _TLS_OPTIONS
        ),
        external_access_enabled=False,
    )


def addon_type(engine: Engine) -> AddonType:
    """Describes what the engine can do on this machine now, as the engine says."""
    versions, traits = list(engine.versions()), engine.traits
    runs, loads = bool(versions), bool(engine.clients())
    hosts, snapshots = runs and isinstance(engine, Hostable), isinstance(engine, Snapshottable)
    reads = isinstance(engine, Ingestible) and traits.bare_snapshots
    programs = "server programs" if loads else "programs"
    return AddonType(
        type=engine.kind,
        name=engine.title,
        description=engine.description,
        features=Features(
            backups_dump=loads and isinstance(engine, Dumpable),
            backups_snapshot=snapshots and (runs or traits.bare_snapshots),
            custom_db_name=hosts and traits.named_databases,
            fork_addon=hosts,
            import_dump=reads or (loads and isinstance(engine, Importable)),
            import_live=loads and isinstance(engine, Dumpable),
            scale_replicas=False,
            tls=traits.tls,
            external_access=False,
            managed=hosts,
            pitr=snapshots and isinstance(engine, Replayable),
        ),
        versions=versions,
        major=list(dict.fromkeys(engine.series(version) for version in versions)),
        resources=Resources(
            storage=Choice(options=_STORAGE_MB, default=_STORAGE_MB[1]),
            replicas=Choice(options=[1], default=1),
        ),
        missing=None if runs else f"no {programs} are installed: {traits.remedy}",
    )


def credentials(addon: Addon, engine: Engine, sealer: Sealer) -> CredentialsView:
    address = addons.address(addon, sealer)
    return CredentialsView(
        secrets=dict(engine.secrets(address)),
        envs={
            "HOST": address.host,
            "PORT": str(address.port),
            "DATABASE": address.database,
        },
    )


def version(session: ReadSession, addon: Addon, engine: Engine) -> VersionView:
    return VersionView(
        version=addon.version,
        upgrade_to=[
            Upgrade(version=newer, type="minor")
            for newer in engine.versions()
            if addon.managed and is_newer_minor(newer, addon.version, engine.series)
        ],
        lifecycle_status="active",
        upgrade_history=[
            PastUpgrade(
                upgrade_id=event.id,
                status=UpgradeState(status="completed"),
                created_at=rfc3339(event.created),
                upgrade_type="minor",
                previous_version=event.old_version,
                new_version=event.new_version,
                completed_at=rfc3339(event.created),
            )
            for event in addons.events(session, addon.pk)
        ],
    )
