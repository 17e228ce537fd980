"""Checks that `completed` is derived from, each with its result.

A backup is good when every check passed; anything less names the checks that did not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SMALLEST_MEMBER = 64
"""Minimum bytes of a whole dump: even an empty database's archive is larger."""


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    found: str

    def document(self) -> dict[str, object]:
        return {"name": self.name, "passed": self.passed, "found": self.found}


def exit_statuses(member: str, processes: Sequence[Mapping[str, object]] | None) -> Check:
    """Every process of a member must have exited with 0. An empty list: none was needed; None: the
    processes are not known, which fails."""
    if processes is None:
        return Check(f"exit statuses of {member}", False, "no process is known")
    words = ", ".join(f"{p.get('program')}={p.get('exitStatus')}" for p in processes)
    good = all(p.get("exitStatus") == 0 for p in processes)
    return Check(f"exit statuses of {member}", good, words or "no process was needed")


def size_floor(member: str, plain_bytes: int) -> Check:
    return Check(
        f"size of {member}",
        plain_bytes >= SMALLEST_MEMBER,
        f"{plain_bytes} bytes, at least {SMALLEST_MEMBER} wanted",
    )


def arrived(member: str, facts: Mapping[str, object]) -> Check:
    """An imported file must have arrived as it was announced."""
    announced = facts.get("announced") or "nothing"
    return Check(
        f"arrival of {member}",
        bool(facts.get("arrived")),
        f"{facts.get('arrived')} arrived, {announced} was announced",
    )


def read_back(member: str, written: tuple[int, str], read: tuple[int, str]) -> Check:
    """Size and digest read back from the store must be those written."""
    return Check(
        f"read back of {member}",
        written == read,
        f"wrote {written[0]} bytes sha256 {written[1]}, read {read[0]} bytes sha256 {read[1]}",
    )


def structure(member: str, problem: str | None, facts: Mapping[str, object]) -> Check:
    """The stock tool must be able to parse the stored bytes; `problem` is its complaint."""
    words = ", ".join(f"{name} {value}" for name, value in facts.items())
    return Check(f"structure of {member}", problem is None, problem or words)


def tables_covered(member: str, archived: int, counted: int) -> Check:
    """Each table counted at dump time must have its data in the archive."""
    return Check(
        f"tables of {member}",
        archived >= counted,
        f"{archived} tables with data in the archive, {counted} counted in the database",
    )


def rows_match(member: str, stored: Mapping[str, int], counted: Mapping[str, int]) -> Check:
    """Each table's stored rows must match those counted in the snapshot of the dump."""
    differ = [
        f"{table}: {rows} rows counted, {stored.get(table, 0)} stored"
        for table, rows in counted.items()
        if stored.get(table, 0) != rows
    ]
    total = sum(stored.values())
    return Check(f"rows of {member}", not differ, "; ".join(differ[:5]) or f"{total} rows stored")


def missing(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if not check.passed]
