"""Writes events as the stock tools do, for databases in which these fail.

Before it writes a database's events, mariadb-dump selects the database by its name with escaped
quotes and backslashes, and ends with error 1049 if there are any.
"""

from collections.abc import Iterator, Sequence

from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import Session, quote_name
from holdfast.engines.mysql.dump import stored_code
from holdfast.engines.mysql.dump.archive import TRAILER
from holdfast.engines.mysql.dump.statement_rules import COLLATION_OF_DATABASE, OBJECT_SETTINGS
from holdfast.engines.mysql.dump.stored_code import Code

_ESCAPED = frozenset("'\"\\")


def script(session: Session, databases: Sequence[str]) -> bytes:
    """The events of all databases, to be appended to a dump without events; empty if the stock
    tools can write them all. AddonRefused for one that may not be read."""
    codes = {
        database: [
            stored_code.read_one(session, database, kind, name)
            for kind, name in stored_code.list_objects(session, database)
            if kind == "events"
        ]
        for database in databases
    }
    if not any(codes[database] and _ESCAPED & set(database) for database in databases):
        return b""
    parts = [part for database in databases for part in _of_database(session, codes[database])]
    return b"".join([*parts, TRAILER, b"\n"])


def _of_database(session: Session, codes: Sequence[Code]) -> Iterator[bytes]:
    for code in codes:
        quoted, settings = quote_name(code.database), code.settings
        own, collation = facts.collation(session, code.database), settings[COLLATION_OF_DATABASE]
        delimiter = b";;"
        while delimiter in code.statement:
            delimiter += b";"
        assignments = ", ".join(f"{key} = {settings[key]}" for key in OBJECT_SETTINGS)
        yield f"\nUSE {quoted};\nSET {assignments};\n".encode()
        if collation != own:
            yield f"ALTER DATABASE {quoted} COLLATE {collation};\n".encode()
        yield b"DELIMITER " + delimiter + b"\n"
        yield code.statement + b" " + delimiter + b"\nDELIMITER ;\n"
        if collation != own:
            yield f"ALTER DATABASE {quoted} COLLATE {own};\n".encode()
