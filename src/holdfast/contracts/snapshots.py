"""Capabilities of engines that take physical copies of a server.

Capabilities like those of `contracts/engine.py`, found by `isinstance`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import PurePath
from typing import Any, Protocol, runtime_checkable

from holdfast.contracts.engine import Address, Attempt
from holdfast.kit.processes.guard import Guard


class Cut(Enum):
    """How a file changes between snapshots, which decides where it is cut into blocks."""

    PAGES = auto()  # in place, page by page
    CONTENT = auto()  # anywhere, and the bytes after a change move
    WHOLE = auto()  # completely: small blocks would only be more


@dataclass(frozen=True)
class Piece:
    """One file, directory or symbolic link of a physical copy.

    `path` is relative, `mode` without the type, `mtime` in ns since 1970. `chunks` must be read
    before the next piece; a chunk does not change after it was yielded.
    """

    path: str
    mode: int
    mtime: int
    directory: bool
    target: str
    cut: Cut
    chunks: Iterator[bytes | memoryview]


class Capture(Protocol):
    """A physical copy in progress. `facts` are complete when `pieces` has ended.

    They include `files`, and `proven`: a sentence for each verified property, by its name.
    """

    facts: Mapping[str, object]

    def pieces(self) -> Iterator[Piece]:
        """Raises EvidenceMissing at the end if the server says that it sent something else."""
        ...


@runtime_checkable
class Snapshottable(Protocol):
    """Physical copies that a server of the same version starts from."""

    def snapshot(
        self, address: Address, attempt: Attempt, guard: Guard, rate: int | None
    ) -> AbstractContextManager[Capture]:
        """A copy that is consistent while clients write. `rate`: KiB per second at most.
        NotSupported names the missing requirement."""
        ...


@dataclass(frozen=True)
class Finish:
    """How to turn a snapshot's files into a server's directory: texts to write, texts to append and
    modes to set, by path below it, and then the steps for a person, in order."""

    texts: Mapping[str, str]
    modes: Mapping[str, int]
    steps: Sequence[str]
    appended: Mapping[str, str] = field(default_factory=dict[str, str])


LOG_POSITION = "logPosition"
"""Fact of a snapshot of a server whose log can be archived: where it is consistent. A map of
`source` and `line`, which identify the server and its log (`contracts.archive`), `end`, the
position at which it is consistent, and `instant`, the server's clock in ms after that."""

OTHERS = "others"
"""Key in the facts given to `finish`: facts of the addon's other snapshots, and reports of restores
into it."""


@runtime_checkable
class Materialisable(Protocol):
    """Snapshots whose files a server starts from in any directory."""

    def finish(self, directory: PurePath, facts: Mapping[str, Any]) -> Finish:
        """For files in `directory`, an absolute path of some machine."""
        ...
