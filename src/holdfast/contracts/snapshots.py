"""Physical copies of a server: what an engine with snapshots owes.

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
    """How a file changes from one copy to the next, so where to cut it into blocks."""

    PAGES = auto()  # in place, page by page
    CONTENT = auto()  # here and there, and what follows moves
    WHOLE = auto()  # all of it: small blocks would only be more of them


@dataclass(frozen=True)
class Piece:
    """One file, directory or symbolic link of a physical copy.

    `path` is relative, `mode` without the type, `mtime` in ns since 1970. `chunks` has to be read
    before the next piece; nobody changes a chunk after he gave it.
    """

    path: str
    mode: int
    mtime: int
    directory: bool
    target: str
    cut: Cut
    chunks: Iterator[bytes | memoryview]


class Capture(Protocol):
    """A physical copy in progress. `facts` are there when `pieces` came to its end.

    Among them `files`, and `proven`: what was verified by name, each with a sentence.
    """

    facts: Mapping[str, object]

    def pieces(self) -> Iterator[Piece]:
        """EvidenceMissing at the end when what came is not what the server says it sent."""
        ...


@runtime_checkable
class Snapshottable(Protocol):
    """Physical copies that a server of the same version starts from."""

    def snapshot(
        self, address: Address, attempt: Attempt, guard: Guard, rate: int | None
    ) -> AbstractContextManager[Capture]:
        """Consistent while others write. `rate` in KiB per second. NotSupported names what is
        missing."""
        ...


@dataclass(frozen=True)
class Finish:
    """What makes a server's directory of a snapshot's files: texts to write, texts to append to
    what is there and modes to set, by path below it, and what a person has to do then, in order."""

    texts: Mapping[str, str]
    modes: Mapping[str, int]
    steps: Sequence[str]
    appended: Mapping[str, str] = field(default_factory=dict[str, str])


OTHERS = "others"
"""Among the facts that `finish` is given: those of the addon's other snapshots, and what restores
into it reported."""


@runtime_checkable
class Materialisable(Protocol):
    """Snapshots whose files a server starts from, wherever somebody puts them."""

    def finish(self, directory: PurePath, facts: Mapping[str, Any]) -> Finish:
        """For files that lie in `directory`, an absolute path of some machine."""
        ...
