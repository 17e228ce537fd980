"""What the server of a managed addon takes of this machine, and how many are connected to it."""

import contextlib
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from holdfast.catalog import addons
from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import Engine
from holdfast.contracts.local_servers import Connectable, Hostable, LocalServer
from holdfast.domain.errors import AddonUnavailable
from holdfast.kit.clock import Clock
from holdfast.kit.processes import load
from holdfast.kit.seal import Sealer, Secret
from holdfast.usecases.toolbox import home_of

CPU, MEMORY, DISK, CONNECTIONS = "cpu", "memory", "diskUsage", "tcpConnectionsOpen"
"""What is measured, by the names of the v1 API."""

_CPU_SECONDS = 0.25
"""How long processor time is watched: the kernel counts it in hundredths of a second."""


@dataclass(frozen=True)
class Machine:
    """This one: its node's id, and the directory of all state on it."""

    node: str
    data_dir: Path
    clock: Clock


def measure(
    addon: Addon, engine: Engine, sealer: Sealer, machine: Machine, wanted: Collection[str]
) -> dict[str, float]:
    """Those of the `wanted` values that are known: CPUs in use, bytes of memory and disk, and
    connections. Nothing of an attached server, one of another machine, or one that does not run.
    """
    if not addon.managed or addon.node != machine.node or not isinstance(engine, Hostable):
        return {}
    directory = home_of(machine.data_dir, addon.uid) / "data"
    pid = engine.running(LocalServer(directory, 0, "", "", Secret(""), ""))
    if pid is None:
        return {}
    processes, values = load.family(pid), dict[str, float]()
    if CPU in wanted:
        began, before = machine.clock.monotonic(), load.cpu_seconds(processes)
        threading.Event().wait(_CPU_SECONDS)
        used = load.cpu_seconds(processes) - before
        values[CPU] = max(0.0, used) / (machine.clock.monotonic() - began)
    if MEMORY in wanted:
        values[MEMORY] = load.memory_bytes(processes)
    if DISK in wanted:
        values[DISK] = load.disk_bytes(directory)
    if CONNECTIONS in wanted and isinstance(engine, Connectable):
        with contextlib.suppress(AddonUnavailable):  # it is starting, or has just ended
            values[CONNECTIONS] = engine.connections(addons.working_address(addon, sealer))
    return values
