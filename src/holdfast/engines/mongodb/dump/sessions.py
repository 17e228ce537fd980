"""Names the connections of an attempt, ends what older attempts still run, and keeps the sessions
of a dump alive."""

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from pymongo.client_session import ClientSession

from holdfast.contracts.engine import Attempt
from holdfast.engines import staging_names
from holdfast.engines.mongodb.client.connection import (
    APPLICATION,
    Connection,
    Document,
    WireError,
)
from holdfast.engines.mongodb.client.server_errors import error_text

log = logging.getLogger(__name__)
_REFRESH_SECONDS = 60.0


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


@contextmanager
def refreshed(connection: Connection) -> Generator[ClientSession]:
    """A logical session that does not expire while the block runs.

    Servers end a session after 30 minutes without a command (`localLogicalSessionTimeoutMinutes`),
    and with it its cursors, even those without a time limit. A store may take longer for a batch.
    """
    over = threading.Event()
    with connection.logical_session() as session:
        command: Document = {"refreshSessions": [session.session_id]}

        def refresh() -> None:
            while not over.wait(_REFRESH_SECONDS):
                try:
                    connection.command("admin", command)
                except WireError as error:
                    log.info("a session is not refreshed", extra={"error": error_text(error)})

        thread = threading.Thread(target=refresh, name="session", daemon=True)
        thread.start()
        try:
            yield session
        finally:
            over.set()
            thread.join()
