"""Capabilities that drills use besides those of restores, found by `isinstance`.

A drill restores a recovery point into a throwaway server, or file, and judges what came out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from holdfast.contracts.engine import Address, Dumpable, Engine, Member
from holdfast.domain.evidence import Check
from holdfast.kit.processes.guard import Guard


@dataclass(frozen=True)
class Content:
    """What a dump's member holds of one table: its rows, and a digest that does not depend on their
    order. A sequence counts as a table of one row."""

    rows: int
    digest: str


@runtime_checkable
class ContentReadable(Dumpable, Protocol):
    """Dumps whose content can be compared table by table with that of another dump."""

    def content(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
        """The content of each table of a member that has rows, by name. Two dumps of equal data are
        equal here, whatever the order of their rows and the settings of the servers they were made
        on.

        Names are those of the inventory; partitions are together under the name of their `root`,
        and a member of several databases has names of the form `database.table`. Members without
        tables, such as accounts, have no content.

        Reads the member to its end. EvidenceMissing when it is damaged, NotSupported when it is a
        file whose rows cannot be compared.
        """
        ...


@runtime_checkable
class SelfChecking(Protocol):
    """Servers, or files, that can check their own data."""

    def check_data(self, address: Address, guard: Guard) -> Sequence[Check]:
        """Runs every check of its own that the server has, over all user databases. A check that
        this machine cannot run is passed, and `found` says what is missing."""
        ...


@dataclass(frozen=True)
class Assertion:
    """A question whose answer must be true, stored with the addon by its owner.

    `text` is one statement of the engine's own language; its first value must be true: a true
    boolean, a number other than 0, or a text that is neither empty, `0`, `f` nor `false`.
    `database` None: the address's own.
    """

    name: str
    text: str
    seconds: float
    database: str | None = None


@runtime_checkable
class Assertable(Protocol):
    """Servers, or files, that answer assertions."""

    def assert_true(self, address: Address, assertion: Assertion, guard: Guard) -> Check:
        """Asks as a user without power, in a session that can only read. What writes, takes longer
        than its time, asks several things at once or reaches for the machine is stopped; `found`
        says which of these it was, or the answer."""
        ...


@runtime_checkable
class Confinable(Protocol):
    """An engine of local files that can be limited to a directory of our own."""

    def confined(self, directory: Path) -> Engine:
        """Another instance that opens no file outside of `directory`, where it also drafts."""
        ...
