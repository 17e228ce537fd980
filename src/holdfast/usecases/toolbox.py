"""What a process of an installation works with, and where managed addons keep their files."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.catalog import addons
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import Engine
from holdfast.contracts.local_servers import LocalServer
from holdfast.contracts.queue import Queue
from holdfast.contracts.store import ObjectStore
from holdfast.domain.addon import Control
from holdfast.kit.clock import Clock
from holdfast.kit.fetch import PUBLIC_ONLY, Rules
from holdfast.kit.processes.cell import Cell
from holdfast.kit.seal import Sealer
from holdfast.kit.sign import Stamp
from holdfast.usecases.snapshots.snapshot_repositories import SnapshotRepositories

log = logging.getLogger(__name__)

AWAY_SECONDS = 1.0
"""Between two tries to reach a catalogue that is away."""

SETTLE_SECONDS = 300.0

SERVER_LOG = "server.log"
"""What a managed server says, in its addon's directory."""


@dataclass(frozen=True)
class Toolbox:
    """One per worker process. `open_store` takes a destination's pk, None for the platform's;
    `import_rules` say what may be fetched from where; `controls` are what this machine's operator
    lets us do, by `project/addon`; `stamp` marks the manifests we write. Each managed server runs
    as one of `server_uids`; None: all run as we do."""

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

    @property
    def snapshot_repositories(self) -> SnapshotRepositories:
        return SnapshotRepositories(self.catalog, self.sealer, self.open_store)


def place_of(tools: Toolbox, addon: Addon) -> LocalServer:
    home = home_of(tools.data_dir, addon.uid)
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
    )


def home_of(data_dir: Path, addon_uid: str) -> Path:
    """Everything a managed addon keeps on this machine."""
    return data_dir / "addons" / addon_uid
