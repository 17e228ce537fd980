"""Capabilities of engines whose databases are files of this machine, open in many processes.

Capabilities like those of `contracts/engine.py`, found by `isinstance`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.contracts.engine import Address, Attempt
from holdfast.kit.processes.guard import Guard


@runtime_checkable
class Rooted(Protocol):
    """An engine of local files. Work on its addons stays on the machine that has the files."""

    def allow(self, roots: Sequence[Path], private: Path) -> None:
        """Restricts the engine to files below `roots`, and to none below `private`."""
        ...


@runtime_checkable
class Samplable(Protocol):
    """An engine that can make up a small database to try things with."""

    def make_sample(self) -> Address:
        """Makes it, unless it is there already, and says where it is."""
        ...


@runtime_checkable
class RestorableWhileOpen(Protocol):
    """A database whose whole content can be replaced while other processes have it open."""

    def room(self, attempt: Attempt) -> Path:
        """The directory to materialise the snapshot in; belongs to the attempt that stages."""
        ...

    def accept(
        self, address: Address, facts: Mapping[str, Any], attempt: Attempt, guard: Guard
    ) -> Mapping[str, object]:
        """Checks the materialised snapshot: EvidenceMissing if damaged. Target untouched.

        The result includes `local_servers.DIFFERENCES`: differences that the caller may accept.
        """
        ...

    def replace_content(self, address: Address, attempt: Attempt, guard: Guard) -> None:
        """Replaces the database's content with the snapshot's, all or nothing.

        Repeatable until it returns. `attempt.keep_old` sets the old content aside first
        (`Undoable`). Calls `attempt.confirm` while no later attempt can act.
        """
        ...

    def discard(self, address: Address, attempt: Attempt) -> str:
        """Removes what attempts up to this one staged; returns the database's state."""
        ...
