"""Capabilities of engines that can import files made by other tools.

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
    """The content of an imported file, read to its end.

    `inventory` has the tables whose rows could be counted; their database is "" if the file names
    none and loads into any. `facts` become the dump's.
    """

    inventory: Inventory
    facts: Mapping[str, object]


@runtime_checkable
class Importable(Protocol):
    """Dumps made by other tools, recognised by their content alone.

    Their `Dump` has `imported` among its facts; preflight, stage, swap and discard accept it like
    one of ours. Tables go to the target's own database, or to those the file names if allowed, with
    the least privilege that works: the file's author is a stranger.
    """

    def recognise(self, head: bytes) -> Member:
        """The member that a file with this `head` becomes; EvidenceMissing for unknown formats.

        `head` is decompressed, at least 64 KiB unless the file is shorter.
        """
        ...

    def survey(self, member: Member, plain: Iterator[bytes]) -> Survey:
        """Reads the whole file. EvidenceMissing if it is cut off, damaged or of another format."""
        ...


@runtime_checkable
class Ingestible(Protocol):
    """Files made by other tools that are a physical copy already."""

    def ingest(
        self, plain: Iterator[bytes], attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[Capture]:
        """The file as a snapshot of its server, whose `version` is among the facts.

        `pieces` raises EvidenceMissing if the file is cut off, damaged or of another format.
        """
        ...
