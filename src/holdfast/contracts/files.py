"""What an engine may offer whose databases are files of this machine, opened by many at once.

Capabilities like those of `contracts/engine.py`, found by `isinstance`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.contracts.engine import Address, Attempt
from holdfast.kit.processes.guard import Guard


@runtime_checkable
class Rooted(Protocol):
    """An engine of files on this machine. Work on its addons stays on the machine that has them."""

    def allow(self, roots: Sequence[Path], private: Path) -> None:
        """It touches files below `roots` only, and none below `private`."""
        ...


@runtime_checkable
class Refillable(Protocol):
    """A database whose whole content is replaced while others have it open."""

    def room(self, attempt: Attempt) -> Path:
        """Where the snapshot is materialised. Belongs to the attempt that stages."""
        ...

    def accept(
        self, address: Address, facts: Mapping[str, Any], attempt: Attempt, guard: Guard
    ) -> Mapping[str, object]:
        """Proves what was materialised: EvidenceMissing when it is damaged. Target untouched.

        Among the answer, `contracts.place.DIFFERENCES`: sentences that the person may accept.
        """
        ...

    def restore_in_place(self, address: Address, attempt: Attempt, guard: Guard) -> None:
        """Puts it in place of the content, all or nothing. Repeatable until it returns.

        With `attempt.keep_old` the old content is set aside for `Undoable` first.
        Asks `attempt.confirm` where no attempt after this one can act meanwhile.
        """
        ...

    def discard(self, address: Address, attempt: Attempt) -> str:
        """Removes what attempts up to this one brought; says what state the database is in."""
        ...
