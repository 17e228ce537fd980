"""What a database engine owes: a probe, and the capabilities it truly has.

A capability an engine lacks is simply not implemented; what needs it becomes `not-supported`
with the reason. Errors are types of `domain.errors`: AddonUnavailable (no answer), AddonRefused
(password, privilege), ToolMissing, ChildFailed, PreflightRefused, RestoreDiffers.

All methods block and may take long; the Guard is how they are stopped. A method that starts
children adopts them with the guard, so that a stop ends them at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret


@dataclass(frozen=True)
class Address:
    """How to reach one server. `options` are the engine's own connection settings (TLS, ...).

    `owner` is set where `user` is Holdfast's own administrator of a managed server: it names the
    user that the addon's owner has. What that owner could have shaped never runs as `user`.
    """

    host: str
    port: int
    user: str
    password: Secret
    database: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    owner: str | None = None


ABSENT = "absent"
"""Fact of a probe: the database of its address, which the server does not have."""


@dataclass(frozen=True)
class Probe:
    """What a server said about itself. `size` in bytes, all user databases together."""

    version: str
    major: str
    flavour: str
    size: int
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """Rows of one table as seen by one consistent snapshot.

    `root` is the partitioned table that this one is a part of, if it is: after a restore rows may
    lie in another part, so what is compared are the rows of all parts together.
    """

    database: str
    name: str
    rows: int
    root: str = ""


@dataclass(frozen=True)
class Skipped:
    """An object that a restore could not make; it holds no data of its own.

    `kind` is the key it is counted under in `Inventory.objects`, empty when it is not counted.
    """

    database: str
    kind: str
    name: str
    reason: str


@dataclass(frozen=True)
class Inventory:
    """Rows per table and how many objects of each kind per database.

    `left_out`: kinds of objects that the loader of a foreign dump never makes. `skipped`: objects
    of a dump that could not be made while it was loaded.
    """

    tables: Sequence[Table]
    objects: Mapping[str, Mapping[str, int]]
    left_out: frozenset[str] = frozenset()
    skipped: Sequence[Skipped] = ()


WARNINGS = "warnings"
"""Fact of a dump, of a member or of a snapshot: the list of its warnings."""


def warning(database: str | None, name: str, text: str) -> Mapping[str, str | None]:
    """What of a completed backup will not restore elsewhere as it is, and the remedy.

    `name` is the object concerned; `database` is None for an object of the whole server.
    """
    return {"database": database, "object": name, "text": text}


class Source(Protocol):
    """The bytes of one member of a dump, straight from the child that makes them."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end, which `finish` must judge."""
        ...

    def finish(self) -> Mapping[str, object]:
        """Waits for the children and returns the member's facts (JSON values).

        Facts hold `processes`: each child's program and exit status. Raises ChildFailed when any
        child did not end well, EvidenceMissing when the end of the data is not a proper end.
        """
        ...

    def close(self) -> None:
        """Ends what still runs. Idempotent; always called."""
        ...


@dataclass(frozen=True)
class Member:
    """One file of a dump. `name` is its file name without the compression suffix."""

    name: str
    format: str
    database: str | None


class DumpSession(Protocol):
    """One dump in progress: its members are known before the first byte."""

    members: Sequence[Member]
    facts: Mapping[str, object]

    def open(self, member: Member) -> Source: ...

    def inventory(self) -> Inventory:
        """As of the snapshots the members were dumped from; valid after all were finished."""
        ...


Fetch = Callable[[str], Iterator[bytes]]
"""Member name to its plain (decompressed) bytes. Closing the iterator early is allowed.

Several may be open at once, each in a thread of its own.
"""


@dataclass(frozen=True)
class Dump:
    """A finished dump as an engine needs to see it again, read from the manifest.

    `near`: to fetch a member more than once costs no more than processor time. `size`: plain bytes
    of all members. `trusted`: people of the addon's own project shaped it. `locale`: for databases
    whose own one the target cannot have; None: such a restore is refused. `skips_failed`: objects
    that cannot be made may be left out, so what only they need is no obstacle.
    """

    version: str
    members: Sequence[Member]
    facts: Mapping[str, object]
    inventory: Inventory
    near: bool = False
    size: int = 0
    trusted: bool = True
    locale: str | None = None
    skips_failed: bool = False

    @property
    def imported(self) -> bool:
        """Whether it is a file of another tool's form, of which a survey is all that is known."""
        return "imported" in self.facts

    @property
    def foreign(self) -> bool:
        """Whether strangers may have shaped it: then it is loaded with the least power."""
        return self.imported or not self.trusted


@dataclass(frozen=True)
class Scope:
    """What of a server is dumped: all user databases, or one; with or without its users."""

    database: str | None = None
    users: bool = True


EVERYTHING = Scope()


def _confirmed() -> None:
    """Nobody else can have taken over."""


@dataclass(frozen=True)
class Attempt:
    """Where one attempt of one operation may write. `tag` is unique to (operation, attempt).

    `say(text)` writes a line to the operation's log. `keep_others`: the server is somebody else's,
    so what a dump lacks stays there; on a server of ours a restore replaces everything.

    `keep_old`: the swap sets the old data aside instead of removing it (`Undoable`).

    `number` grows with each attempt. What an attempt stages bears its number, so that one which was
    taken for dead and wakes up writes into nothing of its successor's, and it removes what older
    ones left, never what a newer one made. `staged`: whose staging the step goes on with, None: its
    own. `confirm()` raises FencedOff when this is not the attempt that may act any more.
    """

    op: str
    tag: str
    say: Callable[[str], None]
    keep_others: bool = False
    keep_old: bool = False
    number: int = 0
    staged: int | None = None
    confirm: Callable[[], None] = _confirmed

    @property
    def stage(self) -> int:
        """The number of the attempt whose staging this is about."""
        return self.number if self.staged is None else self.staged


@dataclass(frozen=True)
class Traits:
    """What is true of all servers of a kind. `remedy` says how to get the programs that `versions`
    finds; `bare_snapshots`: attached servers can be copied without any; `certificates` are the
    options of an address that name files of this machine."""

    remedy: str
    tls: bool
    named_databases: bool
    bare_snapshots: bool
    certificates: tuple[str, ...] = ()


class Engine(Protocol):
    kind: str
    title: str
    description: str
    traits: Traits

    def probe(self, address: Address) -> Probe: ...

    def parse(self, connection_string: str) -> Address:
        """Raises Invalid with `details` when it is not a connection string of this engine."""
        ...

    def versions(self) -> Sequence[str]:
        """Exact versions of servers this machine can run, newest first."""
        ...

    def clients(self) -> Sequence[str]:
        """Exact versions of the programs that dump and load, newest first."""
        ...

    def series(self, version: str) -> str:
        """The part of a version that data files depend on: `15` of `15.18`, `10.11` of `10.11.6`.

        Servers of one series read each other's files.
        """
        ...

    def secrets(self, address: Address) -> Mapping[str, str]:
        """What an owner connects with: name to value, among them connection strings."""
        ...


@runtime_checkable
class Dumpable(Protocol):
    """Logical dumps. Loading is: preflight, stage beside the old data, swap, or discard."""

    def dump(
        self, address: Address, scope: Scope, attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[DumpSession]:
        """Ends leftover sessions of older attempts of the same operation first."""
        ...

    def examine(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:
        """Parses the structure of a stored member with the stock tool. EvidenceMissing if bad.

        May stop reading early.
        """
        ...

    def preflight(self, address: Address, dump: Dump) -> None:
        """Raises PreflightRefused with every obstacle found. Changes nothing."""
        ...

    def stage(
        self, address: Address, dump: Dump, fetch: Fetch, attempt: Attempt, guard: Guard
    ) -> Inventory:
        """Loads the dump beside what the server holds, without touching it.

        Removes what older attempts of the same operation left, and ends what they still do there.
        Returns what was loaded. An object that cannot be made and is not data does not end it: all
        of them are named in `Inventory.skipped`, and the caller decides.
        """
        ...

    def swap(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        """Puts the staged data in place of the old. Repeatable until it returns.

        What attempts up to this one still do on the server is ended first; then `attempt.confirm`
        is asked, and everything goes through sessions that the next attempt would end.
        """
        ...

    def discard(self, address: Address, attempt: Attempt) -> str:
        """Removes what attempts of this operation staged, but not newer ones than this; says what
        state the server is in."""
        ...


@runtime_checkable
class Undoable(Protocol):
    """Restores whose old data can be put back: with `Attempt.keep_old` the swap sets it aside.

    `op` is the operation of that restore. What was set aside is found by its names on the server.
    """

    def put_back(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        """Puts the old data in place of what is there, which is removed. Repeatable until
        `drop_aside` is called. RestoreDiffers when nothing of `op` is set aside or was put back."""
        ...

    def drop_aside(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        """Removes what `op` set aside. None is success."""
        ...


COUNTED_IN_ARCHIVE = "countedInArchive"
"""Fact of a member: names of tables whose rows can be counted where they are stored only."""


@runtime_checkable
class Recountable(Protocol):
    """Dumps whose rows can be counted where they are stored."""

    def recount(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, int]:
        """Rows of each table with data in a stored member, by its name in the inventory.

        Reads the member to its end. EvidenceMissing when it is damaged.
        """
        ...


@runtime_checkable
class Countable(Protocol):
    def inventory(self, address: Address) -> Inventory: ...
