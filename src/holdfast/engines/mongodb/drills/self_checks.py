"""Lets a restored server check its own data, in every user database."""

from collections.abc import Sequence

from holdfast.contracts.engine import Address
from holdfast.domain.evidence import Check
from holdfast.engines.mongodb.client.connection import connect
from holdfast.engines.mongodb.client.server_errors import translated
from holdfast.engines.mongodb.dump.inventory import databases
from holdfast.engines.mongodb.physical.validation import check_database
from holdfast.kit.processes.guard import Guard


def check_data(address: Address, guard: Guard) -> Sequence[Check]:
    """One check per database that has collections."""
    with translated(address, guard), connect(address, answer_seconds=None) as connection:
        release = guard.adopt(connection.cut)
        try:
            checks = [check_database(connection, name, guard) for name in databases(connection)]
        finally:
            release()
    return [check for check in checks if check is not None]
