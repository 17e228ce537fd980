"""What every verb gets: the transaction, who asks, when it is, and the installation's services."""

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
    """The same for every request of a process. `engines` raises Invalid for an unknown kind.

    `import_bytes` is the size of the largest file, `caps` are the longest retentions of schedules,
    in days. `certificates` are the directories whose files connection strings may name.
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
