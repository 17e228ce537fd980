"""Which indexes and constraints need nothing but one table, so that they may be made when it is in.

What an entry of an archive needs is said by `pg_restore --list --verbose`. An index that needs its
table alone calls no function of the user's, which could look into a table that is still empty.
Exclusion constraints do not say which functions they call, so among the constraints it has to be a
primary key or a unique one. All else waits until everything is in, as in a single pg_restore.
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
_MADE = re.compile(r"(?:INDEX (?!ATTACH )|CONSTRAINT |STATISTICS (?!DATA ))")
_SAID = "COMMENT "

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
    """Is there a comparison of the user's own? An index on an array of such values, or on a row
    with one, uses it without saying so."""
    row = session.execute(_COMPARES_WITH_OWN_CODE).fetchone()
    return row is None or bool(row[0])


def dependencies(listing: str) -> Mapping[str, frozenset[str]]:
    """What each entry needs, from `pg_restore --list --verbose`. Entries by their numbers."""
    needs: dict[str, frozenset[str]] = {}
    number = ""
    for line in listing.split("\n"):
        entry = _ENTRY.match(line)
        if entry is not None:
            number = entry[1]
        elif line.startswith(_DEPENDS):
            needs[number] = frozenset(line[len(_DEPENDS) :].split())
    return needs


def keys(script: str) -> frozenset[str]:
    """The entries that make primary keys and unique constraints, of a verbose script of
    constraints. None where it cannot be read."""
    constraint_words: dict[str, set[str]] = defaultdict(set)
    number = ""
    try:
        for kind, token in words(script):
            heading = _HEADING.match(token) if kind == "line" else None
            if heading is not None:
                number = heading[1]
            elif kind == "word" and token in ("PRIMARY", "UNIQUE", "EXCLUDE"):
                constraint_words[number].add(token)  # of a name they would be in quotes
    except Unparsable:
        return frozenset()
    return frozenset(number for number, kinds in constraint_words.items() if "EXCLUDE" not in kinds)


def constraints(lines: Sequence[str]) -> Sequence[str]:
    return [line for line in lines if _split(line)[1].startswith("CONSTRAINT ")]


@dataclass(frozen=True)
class Plan:
    """When what comes after the data is made. Lines of pg_restore's list.

    `early`: on tables that hold no rows themselves; partitions need them. `own`: by the line of a
    table's data. `rest`: when all is in. `settled`: tables, by the lines of their data, of which
    nothing in the rest matters to the planner.
    """

    early: Sequence[str]
    own: Mapping[str, Sequence[str]]
    rest: Sequence[str]
    settled: frozenset[str]

    def postponed(self, after: Sequence[str]) -> "Plan":
        """All of it when everything is in, as in a single pg_restore. `after` is what this plan
        was made of."""
        early = set(self.early)
        return Plan(self.early, {}, [line for line in after if line not in early], frozenset())


def planned(lists: Lists, needs: Mapping[str, frozenset[str]], unique: frozenset[str]) -> Plan:
    """`needs` as from `dependencies`, `unique` as from `keys`."""
    tables = {
        number for number, description in map(_split, lists.before) if _TABLE.match(description)
    }
    loaded = _loaded(lists.data, needs, tables)
    empty = tables - loaded.keys()
    early: dict[str, str] = {}
    owner: dict[str, str] = {}
    own: dict[str, list[str]] = {line: [] for line in loaded.values()}
    rest: list[str] = []
    unsettled: set[str] = set()
    for line in lists.after:
        number, description = _split(line)
        needed = needs.get(number, frozenset()) - early.keys()
        makes = _MADE.match(description) is not None
        movable = makes and (not description.startswith("CONSTRAINT ") or number in unique)
        concerned = {owner.get(need, need) for need in needed}
        if movable and needed and needed <= empty:
            early[number] = line
        elif (movable or (description.startswith(_SAID) and needed <= owner.keys())) and (
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
    return Plan(list(early.values()), own, rest, settled)


def _loaded(
    data: Sequence[str], needs: Mapping[str, frozenset[str]], tables: set[str]
) -> Mapping[str, str]:
    """The line of its data for each table that has some."""
    data_lines: dict[str, str] = {}
    for line in data:
        number, description = _split(line)
        needed = needs.get(number, frozenset()) & tables
        if description.startswith(_TABLE_DATA) and len(needed) == 1:
            data_lines[next(iter(needed))] = line
    return data_lines


def _split(line: str) -> tuple[str, str]:
    entry = _ENTRY.match(line)
    return (entry[1], entry[2]) if entry else ("", "")
