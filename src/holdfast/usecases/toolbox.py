"""Toolbox: the services of a background process, and the paths of managed addons."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.catalog import addons
from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import Engine
from holdfast.contracts.local_servers import LocalServer
from holdfast.contracts.queue import Queue
from holdfast.contracts.store import ObjectStore
from holdfast.domain.addon import Control
from holdfast.domain.units import DAY_MS
from holdfast.kit.clock import Clock
from holdfast.kit.fetch import PUBLIC_ONLY, Rules
from holdfast.kit.processes.cell import Cell
from holdfast.kit.seal import Sealer
from holdfast.kit.sign import Stamp
from holdfast.usecases.snapshots.snapshot_repositories import SnapshotRepositories

log = logging.getLogger(__name__)

SERVER_LOG = "server.log"
"""File name of a managed server's output, in its addon's directory."""


@dataclass(frozen=True)
class Toolbox:
    """The services of one background process. `open_store` takes a destination's pk, None for the
    platform store; `import_rules` restrict what may be fetched; `controls` are the attached servers
    that this machine's operator lets us stop and start, by `project/addon`; `stamp` signs the
    manifests we write. Each managed server runs as one of `server_uids`; None: all run as we do.
    No drill takes longer than `drill_limit_ms`, but for the time that its server is kept."""

    catalog: Catalog
    queue: Queue
    clock: Clock
    sealer: Sealer
    node: str
    data_dir: Path
    engines: Callable[[str], Engine]
    open_store: Callable[[int | None], ObjectStore]
    stamp: Stamp
    import_rules: Rules = PUBLIC_ONLY
    controls: Mapping[str, Control] = field(default_factory=dict[str, Control])
    server_uids: range | None = None
    drill_limit_ms: int = DAY_MS

    @property
    def snapshot_repositories(self) -> SnapshotRepositories:
        return SnapshotRepositories(self.catalog, self.sealer, self.open_store)


def server_of(tools: Toolbox, addon: Addon) -> LocalServer:
    """The server of a managed addon on this machine."""
    home = home_of(tools.data_dir, addon.uid)
    with tools.catalog.read() as session:
        archive = archives.of_addon(session, addon.pk)
        is_archived = archive is not None and archive.wanted
    return LocalServer(
        directory=home / "data",
        port=addon.port,
        version=addon.version,
        user=addon.user,
        password=tools.sealer.open(addon.sealed_password, addons.context(addon.uid)),
        database=addon.database,
        log=home / SERVER_LOG,
        admin=addons.admin(addon.uid, tools.sealer),
        uid=addon.server_uid if tools.server_uids is not None else None,
        cell=Cell(hidden=(tools.data_dir,), visible=(home,)),
        keeps_log=is_archived,
    )


def home_of(data_dir: Path, addon_uid: str) -> Path:
    """The directory of all files of a managed addon on this machine."""
    return data_dir / "addons" / addon_uid
