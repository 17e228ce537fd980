"""What an engine may offer for files that somebody else made.

Capabilities like those of `contracts/engine.py`, found by `isinstance`.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from holdfast.contracts.engine import Attempt, Inventory, Member
from holdfast.contracts.snapshots import Capture
from holdfast.kit.processes.guard import Guard


@dataclass(frozen=True)
class Survey:
    """What a file that somebody else made holds, read to its end.

    `inventory` has the tables whose rows could be counted. Their database is "" where the file
    names none: wherever it will be loaded. `facts` are the dump's.
    """

    inventory: Inventory
    facts: Mapping[str, object]


@runtime_checkable
class Importable(Protocol):
    """Dumps that somebody else made, recognised by their content alone.

    A `Dump` of one has `imported` among its facts; preflight, stage, swap and discard take it as
    they take our own. Its tables go to the target's own database, or to those that the file names
    where it may, with the least privilege that works: whoever wrote the file is a stranger.
    """

    def recognise(self, head: bytes) -> Member:
        """The member that a file beginning so becomes. EvidenceMissing says what it is instead.

        `head` is decompressed, at least 64 KiB unless the file is shorter.
        """
        ...

    def survey(self, member: Member, plain: Iterator[bytes]) -> Survey:
        """Reads all of it. EvidenceMissing when it is cut off, damaged or not what it seemed."""
        ...


@runtime_checkable
class Ingestible(Protocol):
    """Files that somebody else made and that are a physical copy as they are."""

    def ingest(
        self, plain: Iterator[bytes], attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[Capture]:
        """The file as a snapshot of the server it came from, whose `version` is among the facts.

        `pieces` raises EvidenceMissing when the file is cut off, damaged or something else.
        """
        ...
