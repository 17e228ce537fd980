"""Names the connections of an attempt, and ends what older attempts still run."""

from contextlib import suppress

from holdfast.contracts.engine import Attempt
from holdfast.engines import staging_names
from holdfast.engines.mongodb.client.connection import (
    APPLICATION,
    Connection,
    Document,
    WireError,
)


def application(attempt: Attempt) -> str:
    """The name under which an attempt's connections show."""
    return f"{_prefix(attempt)}{attempt.number}"


def _prefix(attempt: Attempt) -> str:
    return f"{APPLICATION}-{staging_names.short_hash(attempt.op)}-"


def running(connection: Connection, application_prefix: str) -> list[Document]:
    """Commands and idle cursors of our user under this name, or names that begin with it."""
    pipeline = [
        {"$currentOp": {"allUsers": False, "idleCursors": True}},
        {
            "$match": {
                "appName": {"$regex": f"^{application_prefix}"},
                "command.aggregate": {"$ne": 1},
            }
        },
    ]
    command: Document = {"aggregate": 1, "pipeline": pipeline, "cursor": {}}
    return list(connection.documents("admin", command))


def end_older(connection: Connection, attempt: Attempt) -> None:
    """Ends commands of attempts of the operation before this one."""
    for entry in running(connection, _prefix(attempt)):
        number = str(entry.get("appName", "")).removeprefix(_prefix(attempt))
        if number.isdigit() and int(number) < attempt.number and "opid" in entry:
            with suppress(WireError):  # it may have ended by now
                connection.command("admin", {"killOp": 1, "op": entry["opid"]})
