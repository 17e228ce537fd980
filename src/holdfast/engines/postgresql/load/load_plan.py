"""Divides an archive into lists for pg_restore: what is loaded when, and by which session.

The order is that of a single pg_restore: entries before the data, the data, entries after it, and
no grant before the data is in (an owner may have revoked his own right to write). Tables do not
need each other to be loaded, so their data may go to several sessions; everything else of the data
(large objects with their comments and grants, values of sequences) stays together in the first
one. Each list is in the order of the archive: a stream cannot be read backwards.
"""

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg.sql import SQL

from holdfast.engines.postgresql.client.address import Session

_ENTRY = re.compile(r"^\d+; \d+ \d+ (.+)$")
_TABLE = "TABLE DATA "
_HAS_DATA = (_TABLE, "BLOBS ")

_CALLS_OWN_CODE = SQL(
    """
WITH expression AS (
  SELECT 'pg_constraint'::regclass AS classid, oid FROM pg_constraint WHERE contype = 'c'
  UNION ALL
  SELECT 'pg_attrdef'::regclass, d.oid
    FROM pg_attrdef d JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum)
   WHERE a.attgenerated <> ''
)
SELECT EXISTS (
  SELECT FROM expression e
    JOIN pg_depend d ON d.classid = e.classid AND d.objid = e.oid
   WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
     AND NOT EXISTS (SELECT FROM pg_depend m
                      WHERE m.classid = d.refclassid AND m.objid = d.refobjid
                        AND m.deptype = 'e')
)
"""
)
"""Built-in functions have no entry in pg_depend; members of extensions are excluded."""


def needs_order(session: Session) -> bool:
    """Does a check or a generated column call a function of the user's?

    Such a function may read other tables, against the manual, and then works in the dump's order
    only.
    """
    row = session.execute(_CALLS_OWN_CODE).fetchone()
    return row is None or bool(row[0])


class Lists(NamedTuple):
    """Lines of pg_restore's list, in the order in which they are carried out."""

    before: Sequence[str]
    data: Sequence[str]
    after: Sequence[str]


def lists(before: str, data: str, after: str) -> Lists:
    """Parses the output of `pg_restore --list` for each section; grants go to the end."""
    first, second, third = (
        [line for line in part.split("\n") if line and not line.startswith(";")]
        for part in (before, data, after)
    )
    grants = [line for line in (*first, *second) if _is_grant(line)]
    return Lists(
        [line for line in first if not _is_grant(line)],
        [line for line in second if not _is_grant(line)],
        [*grants, *third],
    )


def text(lines: Iterable[str]) -> bytes:
    """The input of `pg_restore --use-list`."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Share:
    """The lines that one session loads. `end` is the position of its last data in the archive."""

    lines: Sequence[str]
    end: int


def divide(data: Sequence[str], rows: Mapping[str, int], max_shares: int) -> Sequence[Share]:
    """Divides the data into at most `max_shares` shares with about as many rows each.

    `rows` by schema and table, a dot between; a table without an entry counts as empty.
    """
    counts = {words(name): count for name, count in rows.items()}
    tables = {
        position: next((counts[name] for name in names(line) if name in counts), 0)
        for position, line in enumerate(data)
        if _is_table(line)
    }
    shares: list[list[int]] = [[] for _ in range(max(1, min(max_shares, len(tables))))]
    shares[0] = [position for position in range(len(data)) if position not in tables]
    lightest = [(0, number) for number in range(len(shares))]
    for position in sorted(tables, key=lambda position: -tables[position]):
        weight, number = lightest[0]
        shares[number].append(position)
        heapq.heapreplace(lightest, (weight + tables[position] + 1, number))
    ends = [
        max((at for at in share if _entry(data[at]).startswith(_HAS_DATA)), default=-1)
        for share in shares
    ]
    return [
        Share([data[position] for position in sorted(share)], end)
        for share, end in zip(shares, ends, strict=True)
    ]


def has_refresh(after: Iterable[str]) -> bool:
    """Is there a materialised view to be filled? Its query may call functions that write."""
    return any(_entry(line).startswith("MATERIALIZED VIEW DATA ") for line in after)


def is_event_trigger(line: str) -> bool:
    """Is it an event trigger, or a comment on one?"""
    return _entry(line).startswith(("EVENT TRIGGER ", "COMMENT - EVENT TRIGGER "))


def is_index_attach(line: str) -> bool:
    """Does it make an index part of a partitioned one?"""
    return _entry(line).startswith("INDEX ATTACH ")


def is_row_security(line: str) -> bool:
    """Does it turn on row security?"""
    return _entry(line).startswith("ROW SECURITY ")


def _entry(line: str) -> str:
    match = _ENTRY.match(line)
    return match[1] if match else ""


def _is_grant(line: str) -> bool:
    return _entry(line).startswith("ACL ")


def _is_table(line: str) -> bool:
    return _entry(line).startswith(_TABLE)


def names(line: str) -> Iterator[str]:
    """The names, in the form of `words`, that the table of a line of data may have.

    Longest first, for a list does not say where a name ends.
    """
    parts = words(_entry(line)[len(_TABLE) :]).split(" ")
    return (" ".join(parts[:length]) for length in range(len(parts), 0, -1))


def words(name: str) -> str:
    """Lists separate schema, table and owner by spaces, and names may hold spaces and dots."""
    return re.sub(r"[.\s]", " ", name)


def tables(lines: Iterable[str]) -> Sequence[str]:
    """Those of `lines` that are the data of tables."""
    return [line for line in lines if _is_table(line)]
