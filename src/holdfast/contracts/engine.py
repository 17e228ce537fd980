"""The contract of database engines: a probe, and optional capabilities found by `isinstance`.

An engine does not implement a capability it lacks; operations that need it end as `not-supported`.
Errors are types of `domain.errors`: AddonUnavailable (no answer), AddonRefused (password,
privilege), ToolMissing, ChildFailed, PreflightRefused, RestoreDiffers.

All methods block and may take long; the Guard stops them. A method that starts children adopts them
with the guard, so that a stop ends them at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Sealer, Secret, new_key

HOSTS = "hosts"
"""Option of an address: further hosts of a replica set, as `host:port,host:port`."""


@dataclass(frozen=True)
class Address:
    """How to reach one server. `options` are the engine's own connection settings (TLS, ...).

    `owner` is set if `user` is Holdfast's own administrator of a managed server: it names the user
    of the addon's owner. Code that this owner could have written never runs as `user`.
    """

    host: str
    port: int
    user: str
    password: Secret
    database: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    owner: str | None = None

    @property
    def hosts(self) -> Sequence[str]:
        """The host, and those of further `host:port` of a set in the option `hosts`."""
        more = self.options.get(HOSTS, "")
        further = [text.rpartition(":")[0].strip("[]") for text in more.split(",") if text]
        return [self.host, *further] if self.host else further


ABSENT = "absent"
"""Fact of a probe: the name of the address's database, if the server does not have it."""


@dataclass(frozen=True)
class Probe:
    """What a server reports about itself. `size`: bytes of all user databases together."""

    version: str
    major: str
    flavour: str
    size: int
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """Rows of one table as seen by one consistent snapshot.

    `root` is the partitioned table that this one is a partition of, else empty. After a restore
    rows may lie in another partition, so the rows of all partitions are compared together.
    """

    database: str
    name: str
    rows: int
    root: str = ""


@dataclass(frozen=True)
class Skipped:
    """An object without data of its own that a restore could not create.

    `kind` is its key in `Inventory.objects`, empty if it is not counted there.
    """

    database: str
    kind: str
    name: str
    reason: str


@dataclass(frozen=True)
class Inventory:
    """Rows per table, and numbers of objects per database and kind.

    `left_out`: kinds of objects that the loader of a foreign dump never creates. `skipped`: objects
    of a dump that could not be created while it was loaded.
    """

    tables: Sequence[Table]
    objects: Mapping[str, Mapping[str, int]]
    left_out: frozenset[str] = frozenset()
    skipped: Sequence[Skipped] = ()


WARNINGS = "warnings"
"""Fact of a dump, a member or a snapshot: the list of its warnings."""


def warning(database: str | None, name: str, text: str) -> Mapping[str, str | None]:
    """A warning that an object of a completed backup will not restore elsewhere, or that it is not
    of the instant of the others, with the remedy.

    `name` is the object; `database` is None for an object of the whole server.
    """
    return {"database": database, "object": name, "text": text}


class Source(Protocol):
    """The bytes of one member of a dump, read from the child process that dumps it."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end, which `finish` checks."""
        ...

    def finish(self) -> Mapping[str, object]:
        """Waits for the children and returns the member's facts (JSON values).

        Facts hold `processes`: each child's program and exit status. Raises ChildFailed when any
        child did not end well, EvidenceMissing when the end of the data is not a proper end.
        """
        ...

    def close(self) -> None:
        """Ends the children that still run. Idempotent; always called."""
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
        """Counted in the snapshots that the members were dumped from; valid after all finished."""
        ...


Fetch = Callable[[str], Iterator[bytes]]
"""Member name to its plain (decompressed) bytes. Closing the iterator early is allowed.

Several may be open at once, each in a thread of its own.
"""


@dataclass(frozen=True)
class Dump:
    """A finished dump as an engine restores it, read from the manifest.

    `near`: fetching a member again costs only processor time. `size`: plain bytes of all members.
    `trusted`: only people of the addon's own project can have shaped it. `locale`: replaces locales
    that the target lacks; None: such a restore is refused. `skips_failed`: objects that cannot be
    created may be left out, so their requirements are no obstacle.
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
        """Whether it is a file of another tool, known only by a survey."""
        return "imported" in self.facts

    @property
    def foreign(self) -> bool:
        """Whether a stranger may have shaped it; then it is loaded with the least privilege."""
        return self.imported or not self.trusted


@dataclass(frozen=True)
class Scope:
    """The part of a server to dump: all user databases or one, with or without its users."""

    database: str | None = None
    users: bool = True


EVERYTHING = Scope()


@dataclass(frozen=True)
class Attempt:
    """One attempt of one operation, for engines. `tag` is unique to (operation, attempt).

    `say(text)` writes a line to the operation's log. `keep_others`: the server is the user's, so
    databases that a dump lacks stay; on a managed server a restore replaces everything.

    `keep_old`: the swap sets the old data aside instead of removing it (`Undoable`).

    `number` grows with each attempt and names what the attempt stages. So an attempt that was taken
    for dead and wakes up writes nothing of its successor's; it removes the staging of older
    attempts, never of newer ones. `staged`: the attempt whose staging this step continues, None:
    its own. `confirm()` raises FencedOff when this attempt may no longer act; by default it always
    may.

    `sealer` seals what an engine keeps on a server and must trust later, in another attempt. By
    default nothing that it sealed can be opened by another attempt.
    """

    op: str
    tag: str
    say: Callable[[str], None]
    keep_others: bool = False
    keep_old: bool = False
    number: int = 0
    staged: int | None = None
    confirm: Callable[[], None] = lambda: None
    sealer: Sealer = field(default_factory=lambda: Sealer(new_key()))

    @property
    def stage(self) -> int:
        """The number of the attempt whose staging this one uses."""
        return self.number if self.staged is None else self.staged


@dataclass(frozen=True)
class Traits:
    """Properties of all servers of a kind. `remedy` says how to install the programs that
    `versions` lists; `bare_snapshots`: snapshots of attached servers need none of them;
    `certificates` are the options of an address that name files of this machine; `needs_programs`:
    dumps and restores of attached servers need installed programs."""

    remedy: str
    tls: bool
    named_databases: bool
    bare_snapshots: bool
    certificates: tuple[str, ...] = ()
    needs_programs: bool = True


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

        Servers of one series can read each other's data files.
        """
        ...

    def secrets(self, address: Address) -> Mapping[str, str]:
        """The owner's credentials by name, among them connection strings."""
        ...


@runtime_checkable
class Dumpable(Protocol):
    """Logical dumps. A restore is: preflight, stage beside the old data, then swap or discard."""

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
        """Loads the dump beside the server's data without touching it; returns what was loaded.

        Ends sessions of older attempts of the operation and removes what they staged. Objects
        without data that cannot be created do not end it: `Inventory.skipped` names them, and the
        caller decides.
        """
        ...

    def swap(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        """Replaces the old data with the staged data. Repeatable until it returns.

        Sessions of attempts up to this one are ended first; then `attempt.confirm` is called, and
        all changes go through sessions that the next attempt would end.
        """
        ...

    def discard(self, address: Address, attempt: Attempt) -> str:
        """Removes what attempts up to this one staged; returns the server's state as a sentence."""
        ...


@runtime_checkable
class Undoable(Protocol):
    """Restores that can be undone: with `Attempt.keep_old` the swap sets the old data aside.

    `op` is the operation of that restore. Old data is found by its names on the server.
    """

    def put_back(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        """Replaces the present data with the old data. Repeatable until `drop_aside` is called.
        RestoreDiffers if no data of `op` is set aside or was put back."""
        ...

    def drop_aside(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        """Removes the data that `op` set aside; none there is success."""
        ...


COUNTED_IN_ARCHIVE = "countedInArchive"
"""Fact of a member: tables whose rows can only be counted in the stored member."""


@runtime_checkable
class Recountable(Protocol):
    """Dumps whose rows can be counted in the stored members."""

    def recount(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, int]:
        """Rows of each table with data in a stored member, by its name in the inventory.

        Reads the member to its end. EvidenceMissing when it is damaged.
        """
        ...


@runtime_checkable
class Countable(Protocol):
    def inventory(self, address: Address) -> Inventory: ...
