"""Lets a server check the collections and indexes of one database.

`validate` reads every document and every index entry and compares them. It runs no code of an
owner's: validators and views are not evaluated.
"""

from holdfast.domain.evidence import Check
from holdfast.engines.drill_answers import listed
from holdfast.engines.mongodb.client.connection import Connection
from holdfast.engines.mongodb.dump.archive import VIEW
from holdfast.engines.mongodb.dump.inventory import definitions
from holdfast.kit.processes.guard import Guard

_OLDER_THAN_VALIDATOR = "not compliant with the collection's schema"


def check_database(connection: Connection, database: str, guard: Guard) -> Check | None:
    """None for a database without collections."""
    damage: list[str] = []
    documents, checked = 0, 0
    for item in definitions(connection, database):
        guard.check()
        guard.moved(0)
        if item.type == VIEW:
            continue
        _, name = item.data
        report = connection.command(database, {"validate": name})
        checked += 1
        documents += int(report.get("nrecords", 0))
        errors = [str(error) for error in report.get("errors", [])]
        # Documents older than their validator are as their owner left them.
        reasons = [error for error in errors if _OLDER_THAN_VALIDATOR not in error]
        if not report["valid"] and (reasons or not errors):
            damage.append(f"collection {item.name}: {' / '.join(reasons) or 'it is not valid'}")
    if not checked:
        return None
    counted = f"{checked} collections with {documents} documents checked"
    found = f"damaged: {listed(damage)}; {counted}" if damage else counted
    return Check(f"validate of {database}", not damage, found)
