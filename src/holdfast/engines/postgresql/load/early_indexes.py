"""Plans which indexes and constraints are made as soon as the data of their table is in.

`pg_restore --list --verbose` tells what an entry of an archive depends on. An index that depends on
its table alone calls no function of the user's, which could read a table that is still empty.
Exclusion constraints do not list the functions they call, so of the constraints only primary keys
and unique ones are made early. All else waits until all data is in, as in a single pg_restore.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL

from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.dump.statements import Unparsable, words
from holdfast.engines.postgresql.load.load_plan import Lists

_ENTRY = re.compile(r"^(\d+); \d+ \d+ (.+)$")
_DEPENDS = ";\tdepends on: "
_HEADING = re.compile(r"-- TOC entry (\d+) ")
_TABLE = re.compile(r"TABLE (?!DATA |ATTACH )")
_TABLE_DATA = "TABLE DATA "
_MADE_EARLY = re.compile(r"(?:INDEX (?!ATTACH )|CONSTRAINT |STATISTICS (?!DATA ))")
_COMMENT = "COMMENT "

_COMPARES_WITH_OWN_CODE = SQL(
    """
WITH used AS (
  SELECT 'pg_opclass'::regclass AS classid, oid FROM pg_opclass WHERE oid >= 16384
  UNION ALL
  SELECT 'pg_proc'::regclass, f
    FROM pg_range, LATERAL (VALUES (rngsubdiff::oid), (rngcanonical::oid)) function(f)
   WHERE f >= 16384
)
SELECT EXISTS (
  SELECT FROM used
   WHERE NOT EXISTS (SELECT FROM pg_depend m
                      WHERE m.classid = used.classid AND m.objid = used.oid AND m.deptype = 'e')
)
"""
)


def compares_with_own_code(session: Session) -> bool:
    """Does the database have comparison functions of the user's own?

    An index on an array of such values, or on a row with one, uses them without depending on them.
    """
    row = session.execute(_COMPARES_WITH_OWN_CODE).fetchone()
    return row is None or bool(row[0])


def dependencies(listing: str) -> Mapping[str, frozenset[str]]:
    """The entries each entry depends on, from `pg_restore --list --verbose`, by number."""
    needs: dict[str, frozenset[str]] = {}
    number = ""
    for line in listing.split("\n"):
        entry = _ENTRY.match(line)
        if entry is not None:
            number = entry[1]
        elif line.startswith(_DEPENDS):
            needs[number] = frozenset(line[len(_DEPENDS) :].split())
    return needs


def key_constraints(script: str) -> frozenset[str]:
    """Numbers of entries that make primary keys and unique constraints.

    `script` is a verbose script of constraints; none when it cannot be read.
    """
    constraint_words: dict[str, set[str]] = defaultdict(set)
    number = ""
    try:
        for kind, token in words(script):
            heading = _HEADING.match(token) if kind == "line" else None
            if heading is not None:
                number = heading[1]
            elif kind == "word" and token in ("PRIMARY", "UNIQUE", "EXCLUDE"):
                constraint_words[number].add(token)  # a name like this would be in quotes
    except Unparsable:
        return frozenset()
    return frozenset(number for number, kinds in constraint_words.items() if "EXCLUDE" not in kinds)


def constraints(lines: Sequence[str]) -> Sequence[str]:
    return [line for line in lines if _split(line)[1].startswith("CONSTRAINT ")]


@dataclass(frozen=True)
class IndexPlan:
    """When the entries after the data are carried out, as lines of pg_restore's list.

    `early`: before the data, on partitioned tables; their partitions need them. `own`: as soon as a
    table is in, by the line of its data. `rest`: when all data is in. `settled`: tables, by the
    lines of their data, whose planner statistics nothing in the rest changes.
    """

    early: Sequence[str]
    own: Mapping[str, Sequence[str]]
    rest: Sequence[str]
    settled: frozenset[str]

    def postponed(self, after: Sequence[str]) -> "IndexPlan":
        """The same plan with all of `after`, what it was made of, moved to when all data is in."""
        early = set(self.early)
        return IndexPlan(self.early, {}, [line for line in after if line not in early], frozenset())


def plan_indexes(
    lists: Lists, needs: Mapping[str, frozenset[str]], unique: frozenset[str]
) -> IndexPlan:
    """Plans the lines after the data. `needs` as from `dependencies`, `unique` as from
    `key_constraints`."""
    tables = {
        number for number, description in map(_split, lists.before) if _TABLE.match(description)
    }
    loaded: dict[str, str] = {}  # by the number of the table, the line of its data
    for line in lists.data:
        number, description = _split(line)
        needed = needs.get(number, frozenset()) & tables
        if description.startswith(_TABLE_DATA) and len(needed) == 1:
            loaded[next(iter(needed))] = line
    empty = tables - loaded.keys()
    early: dict[str, str] = {}
    owner: dict[str, str] = {}
    own: dict[str, list[str]] = {line: [] for line in loaded.values()}
    rest: list[str] = []
    unsettled: set[str] = set()
    for line in lists.after:
        number, description = _split(line)
        needed = needs.get(number, frozenset()) - early.keys()
        makes = _MADE_EARLY.match(description) is not None
        movable = makes and (not description.startswith("CONSTRAINT ") or number in unique)
        concerned = {owner.get(need, need) for need in needed}
        if movable and needed and needed <= empty:
            early[number] = line
        elif (movable or (description.startswith(_COMMENT) and needed <= owner.keys())) and (
            len(concerned) == 1 and concerned <= loaded.keys()
        ):
            (table,) = concerned
            owner[number] = table
            own[loaded[table]].append(line)
        else:
            rest.append(line)
            if makes:
                unsettled |= concerned
    settled = frozenset(line for table, line in loaded.items() if table not in unsettled)
    return IndexPlan(list(early.values()), own, rest, settled)


def _split(line: str) -> tuple[str, str]:
    entry = _ENTRY.match(line)
    return (entry[1], entry[2]) if entry else ("", "")
