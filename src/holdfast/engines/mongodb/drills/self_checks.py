"""Lets a server check its own collections and indexes, in every user database.

`validate` reads every document and every index entry and compares them. It runs no code of an
owner's: validators and views are not evaluated.
"""

from collections.abc import Sequence

from holdfast.contracts.engine import Address
from holdfast.domain.evidence import Check
from holdfast.engines.drill_answers import listed
from holdfast.engines.mongodb.client.connection import Connection, connect
from holdfast.engines.mongodb.client.server_errors import translated
from holdfast.engines.mongodb.dump.archive import VIEW
from holdfast.engines.mongodb.dump.inventory import databases, definitions
from holdfast.kit.processes.guard import Guard

_OLDER_THAN_VALIDATOR = "not compliant with the collection's schema"


def check_data(address: Address, guard: Guard) -> Sequence[Check]:
    """One check per database that has collections."""
    with translated(address, guard), connect(address, answer_seconds=None) as connection:
        release = guard.adopt(connection.cut)
        try:
            checks = [check_database(connection, name, guard) for name in databases(connection)]
        finally:
            release()
    return [check for check in checks if check is not None]


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
    findings = f"damaged: {listed(damage)}; {counted}" if damage else counted
    return Check(f"validate of {database}", not damage, findings)
