"""Surveys foreign files: databases and dumps as SQL, read to their end.

SQL runs in an empty file under SQLite's authorizer, as `load.py` runs ours, with work and space in
proportion to its length. The stock shell writes virtual tables as rows of the schema: these are not
run, but the tables created as they were, and their shadow tables filled.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from holdfast.contracts.engine import Inventory, Member
from holdfast.contracts.foreign import Survey
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.foreign_formats import described
from holdfast.engines.sqlite.client import modules, tables
from holdfast.engines.sqlite.client.location import deny_unsafe_functions, opened
from holdfast.engines.sqlite.client.scratch import scratch
from holdfast.engines.sqlite.imports.confinement import ConfinedRunner
from holdfast.engines.sqlite.imports.load import load as load_text
from holdfast.kit.processes.guard import Guard

FILE, TEXT = "foreign-sqlite-file", "foreign-sqlite-sql"
_MEMBERS = {FILE: Member("imported.db", FILE, None), TEXT: Member("imported.sql", TEXT, None)}
_MAGIC = b"SQLite format 3\0"
_SQL = re.compile(
    rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:PRAGMA|BEGIN|CREATE|INSERT)\b", re.IGNORECASE | re.DOTALL
)
_WAL_VERSION = 2
_HEADER_BYTES = 100


def recognise(head: bytes) -> Member:
    """EvidenceMissing says what the file is instead, as far as its first bytes tell."""
    if head.startswith(_MAGIC):
        return _MEMBERS[FILE]
    description = described(head)
    if description is None and b"\0" not in head and _SQL.match(head):
        return _MEMBERS[TEXT]
    if description == "a dump of SQLite":
        return _MEMBERS[TEXT]
    raise EvidenceMissing(
        f"the file is {description or f'not known here; it begins with {head[:24]!r}'}."
        " It has to be an SQLite database, or what the shell's .dump writes"
    )


def survey(tools_dir: Path, member: Member, plain: Iterator[bytes]) -> Survey:
    """Reads the whole file. EvidenceMissing when it is cut off, damaged or asks for too much."""
    with scratch(tools_dir, f"survey-{id(plain):x}") as directory:
        inventory = load(member, plain, directory / "survey.db", None)
        with opened(directory / "survey.db") as session:
            (encoding,) = session.execute("PRAGMA encoding").fetchone()
        size = (directory / "survey.db").stat().st_size
    facts = {
        "library": sqlite3.sqlite_version,
        "encoding": encoding,
        "size": size,
        "tableData": len(inventory.tables),
        "rows": sum(table.rows for table in inventory.tables),
        "objects": dict(inventory.objects.get(tables.MAIN, {})),
    }
    return Survey(inventory, facts)


def load(member: Member, plain: Iterator[bytes], target: Path, guard: Guard | None) -> Inventory:
    """Loads a foreign file into `target`; checks and counts it."""
    if member.format == TEXT:
        return load_text(plain, target, guard, ConfinedRunner(target))
    target.touch(mode=0o600)
    with target.open("wb") as file:
        for chunk in plain:
            file.write(chunk)
    size = target.stat().st_size
    with target.open("r+b") as file:
        header = bytearray(file.read(_HEADER_BYTES))
        if _WAL_VERSION in header[18:20]:  # without its log the file alone counts
            file.seek(18)
            file.write(b"\1\1")
    try:
        with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as session:
            deny_unsafe_functions(session)
            session.execute("PRAGMA cell_size_check=ON")
            pages, page_bytes = (session.execute(f"PRAGMA {n}").fetchone()[0] for n in _SIZES)
            if pages * page_bytes != size:
                raise EvidenceMissing(
                    f"the file has {size} bytes; {pages} pages of {page_bytes} are meant"
                )
            require_known_modules(session)
            problem = tables.find_damage(session)
            if problem is not None:
                raise EvidenceMissing(f"the file is damaged: {problem}")
            return tables.inventory(session)
    except (sqlite3.Error, NotSupported) as error:
        raise EvidenceMissing(f"the file is damaged or needs more than is here: {error}") from error


_SIZES = ("page_count", "page_size")


def require_known_modules(session: sqlite3.Connection) -> None:
    """EvidenceMissing for other modules: the application's may read other files or servers."""
    query = "SELECT name, sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
    for name, sql in session.execute(query).fetchall():
        module = modules.USING.match(str(sql))
        if module is None or module[1].lower() not in modules.SUPPORTED:
            raise EvidenceMissing(f"the virtual table {name} is of a module that is not known here")
