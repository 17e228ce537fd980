"""The context of every verb: transaction, caller, time, and the installation's services."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.catalog.database.session import WriteSession
from holdfast.contracts.engine import Engine
from holdfast.contracts.queue import Queue
from holdfast.domain.access import Caller
from holdfast.domain.schedules.schedule import MOST_DAYS, Interval
from holdfast.kit.seal import Sealer


@dataclass(frozen=True)
class Services:
    """Services shared by all requests of a process. `engines` raises Invalid for an unknown kind.

    `import_bytes`: size of the largest file; `caps`: longest retentions of schedules, in days;
    `certificates`: directories whose files connection strings may name.
    """

    queue: Queue
    sealer: Sealer
    node: str
    engines: Callable[[str], Engine]
    import_bytes: int = 1 << 40
    caps: Mapping[Interval, int] = field(default_factory=lambda: dict(MOST_DAYS))
    certificates: Sequence[Path] = ()


@dataclass(frozen=True)
class Context:
    session: WriteSession
    caller: Caller
    now: int
    services: Services
