"""Capabilities of engines whose log of changes can be archived, found by `isinstance`.

A log is a sequence of bytes; a position in it is an integer that grows. It goes on in lines: when a
server is replaced by a promoted standby or a restored copy, a new line forks from the old one, or a
new one begins that nothing connects with it.

Some servers write segments of one size, others files that end anywhere. Of these a position is the
number of the file and the place in it; `segment` is `FILE_SPAN`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.contracts.engine import Address
from holdfast.kit.processes.guard import Guard

FILE_SPAN = 1 << 32
"""Of a log of files: positions from the beginning of a file to that of the next one."""

OTHER_HISTORY = "the server went back to an earlier state and writes another history"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes of the log from `start` on. `clock` is the server's when it sent them, in ms.

    Of a log of files: a segment ends with them, and the log goes on at `next`; None: it does not
    end. `source` identifies the file that begins with them. `marks` are clocks as in `Log.clocks`,
    where the log itself dates its commits no better than by the second."""

    start: int
    data: bytes
    clock: int
    next: int | None = None
    source: str | None = None
    marks: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Fork:
    """A line ends at `position`, where `line` goes on."""

    line: str
    position: int


@dataclass(frozen=True, slots=True)
class Vitals:
    """All that the server acknowledged before `clock`, in ms, lies before `position`. `slack`:
    bytes that it writes before it lets go of what is not stored, `limit`: bytes that it keeps for
    us in all; None: without a limit. `since`: from when on the server is known to serve the present
    line; None: that cannot be asked. `behind`: bytes that are not kept yet."""

    position: int
    clock: int
    slack: int | None
    since: int | None = None
    limit: int | None = None
    behind: int = 0


class Following(Protocol):
    """A log that is being followed. `source` identifies the server; a segment has `segment` bytes;
    `line` is the one that the server writes now; new reading begins at `oldest`."""

    source: str
    segment: int
    line: str
    oldest: int

    def ancestry(self) -> Sequence[tuple[str, int]]:
        """The lines that the present one comes from, the oldest first, and where each was left."""
        ...

    def histories(self) -> Mapping[str, bytes]:
        """Small files that a replay needs to understand the lines, by name."""
        ...

    def begin(self, line: str, position: int) -> None:
        """Asks for the log of a line from a position on, the beginning of a segment. LogRemoved if
        the server does not have it any more."""
        ...

    def receive(self, seconds: float, *, paused: bool = False) -> Arrival | Fork | None:
        """What comes next, None when nothing came within that time. `paused`: takes nothing, but
        lets the server know that we are here."""
        ...

    def keep(self, position: int) -> None:
        """Tells the server that everything before is stored, so it need not keep it for us."""
        ...

    def vitals(self) -> Vitals:
        """OtherHistory if the server is not as far as what it has sent."""
        ...


@runtime_checkable
class Followable(Protocol):
    """A server whose log can be followed from elsewhere, with nothing installed there.

    `restarts`: a managed one has to be started anew to keep its log (`LocalServer.keeps_log`).
    """

    restarts: bool

    def follows(self, version: str) -> bool:
        """Whether the log of a managed server of this version can be archived."""
        ...

    def lacks(self, address: Address, *, unbounded: bool) -> Sequence[str]:
        """Why the log cannot be archived, each with the line that cures it; none: it can.
        `unbounded`: the owner accepts a server that keeps any amount of log for us."""
        ...

    def follow(
        self, address: Address, slot: str, guard: Guard
    ) -> AbstractContextManager[Following]:
        """Connects, and makes the server keep its log for us under the name `slot`."""
        ...

    def release(self, address: Address, slot: str) -> None:
        """The server need not keep anything for us any more. Repeatable."""
        ...


@dataclass(frozen=True)
class Target:
    """What to restore: the state at `instant` in ms, or at `position`, or that of the
    `transaction`; `inclusive`: with what is exactly there. One of the three is set."""

    instant: int | None = None
    position: int | None = None
    transaction: str | None = None
    inclusive: bool = True


@dataclass(frozen=True)
class Log:
    """A log on this machine, as files in `directory`: for each line its name and the positions from
    and to which it is there, in order. `clocks` are pairs of a position of the last line and a time
    in ms: what was acknowledged before that lies before the position."""

    directory: Path
    legs: Sequence[tuple[str, int, int]]
    segment: int
    clocks: Sequence[tuple[int, int]] = ()


REPLAY = "replay"
"""Key in the facts given to a rehearsal: a `Replay`."""

REPLAYING = "replaying"
"""Name of a file in the tree of a restore while a replay changes its base step by step: one that a
dead attempt left has to be fetched anew."""

SLOT = "archiveSlot"
"""Key in the facts given to a rehearsal: the slot under which the restored server keeps its log."""


@dataclass(frozen=True)
class Commit:
    """A change that a server acknowledged: its position, when it was, and its transaction."""

    position: int
    instant: int
    transaction: str


@dataclass(frozen=True)
class TableChange:
    """Rows of a table that a commit touched. `removed`: it was dropped, emptied or rewritten.
    `table` is the file's number where its name is not known."""

    database: str
    table: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    removed: bool = False


@dataclass(frozen=True)
class Change:
    """What a commit did. `defines`: it created, altered or dropped something; `statement` is the
    beginning of such a statement where the log has it. `is_whole`: all of the transaction was read;
    else it began before, and its rows are more than these. With a `point` it is no commit but the
    named point of that name, and has no transaction."""

    commit: Commit
    tables: Sequence[TableChange]
    defines: bool = False
    statement: str = ""
    is_whole: bool = True
    point: str = ""


@dataclass(frozen=True)
class FileNames:
    """What the files in a log belong to: databases by their number, and relations by the path that
    the log gives to their file. Of indexes and other parts of a table the name is empty."""

    databases: Mapping[str, str] = field(default_factory=dict[str, str])
    relations: Mapping[str, str] = field(default_factory=dict[str, str])


@runtime_checkable
class Naming(Protocol):
    """A server whose log has numbers instead of names, which it tells itself."""

    def names(self, address: Address) -> FileNames:
        """The names of now."""
        ...


@dataclass(frozen=True)
class Point:
    """A place in the log that has a name. `instant` is the server's clock right behind it."""

    line: str
    position: int
    instant: int


@runtime_checkable
class Marking(Protocol):
    """A server whose log has named points."""

    def mark(self, address: Address, name: str) -> Point:
        """Writes a point into the log. ValueError for a name that the server would change."""
        ...

    def locate(self, version: str, logs: Iterable[Log], name: str) -> int:
        """The position of the point of that name in a log, which comes in parts that may overlap.
        RestoreDiffers, which names the positions, unless there is one."""
        ...


@dataclass(frozen=True)
class Stop:
    """Where a replay ends: after the record at `position`, or before it. `position` None: as soon
    as the base is consistent. `last` is the last commit that is kept, `next` the first left out."""

    position: int | None
    inclusive: bool
    last: Commit | None
    next: Commit | None


@dataclass(frozen=True)
class Replay:
    """A log to replay onto a materialised base, and where to stop."""

    log: Log
    stop: Stop


@runtime_checkable
class Replayable(Protocol):
    """A server whose archived log can be replayed onto a snapshot, on this machine.

    `rehearse` replays when its facts hold a `REPLAY`; RestoreDiffers unless it stopped there.
    """

    def settle_stop(self, version: str, log: Log, base: Mapping[str, Any], target: Target) -> Stop:
        """Finds the stop of a target. `base`: the facts of the snapshot."""
        ...

    def parse_position(self, text: str) -> int:
        """A position as people write it. ValueError for anything else."""
        ...

    def precedes(self, position: Mapping[str, Any], transaction: str) -> bool:
        """Whether a snapshot with this `LOG_POSITION` surely holds nothing of a transaction, so
        that a replay from there comes to it. ValueError for what names no transaction."""
        ...

    def above(self, former: Mapping[str, Any], lines: Sequence[str]) -> Mapping[str, Any]:
        """Facts for a rehearsal, so that the line it begins is none of the archived ones.
        `former`: what the engine remembers of the replaced server."""
        ...


@runtime_checkable
class Readable(Protocol):
    """A server whose archived log tells what was committed, on this machine."""

    def changes(self, version: str, log: Log, names: FileNames, guard: Guard) -> Iterator[Change]:
        """What every commit in the log did, in order of position, with the named points between
        them; commits that touched nothing are left out. The log may begin and end anywhere."""
        ...

    def last_commit(self, version: str, log: Log, guard: Guard) -> Commit | None:
        """The last in the log, also one that touched nothing. The log may begin and end
        anywhere."""
        ...

    def ancestry(self, history: bytes) -> Sequence[tuple[str, int]]:
        """As `Following.ancestry`, from a stored history file."""
        ...

    def file_source(self, data: bytes) -> str | None:
        """As `Arrival.source`, from the first bytes of a file; None for logs without files."""
        ...

    def show_position(self, position: int) -> str:
        """A position as people write it."""
        ...
