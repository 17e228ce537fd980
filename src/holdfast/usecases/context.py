"""What every verb gets: the transaction, who asks, when it is, and the house's means."""

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.catalog.session import WriteSession
from holdfast.contracts.engine import Engine
from holdfast.contracts.queue import Queue
from holdfast.domain.access import Caller
from holdfast.kit.seal import Sealer


@dataclass(frozen=True)
class House:
    """The same for every request of a process. `engines` raises Invalid for an unknown kind."""

    queue: Queue
    sealer: Sealer
    node: str
    engines: Callable[[str], Engine]


@dataclass(frozen=True)
class Context:
    session: WriteSession
    caller: Caller
    now: int
    house: House
