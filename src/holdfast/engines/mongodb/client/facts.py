"""Reads facts about a server, and says what they mean for its dumps."""

from holdfast.engines.mongodb.client.connection import Connection, WireError
from holdfast.engines.mongodb.client.server_errors import UNAUTHORIZED, error_code
from holdfast.engines.mongodb.client.tools import version_parts


def consistency(version: str, *, is_set: bool) -> str:
    if not is_set:
        return "each collection by itself, not of one instant: the server is no replica set"
    if version_parts(version)[0] < 5:
        return "each collection by itself, not of one instant: 4.4 has no reads at a cluster time"
    return "all databases at one cluster time, capped collections beside it"


def compatibility(connection: Connection) -> str | None:
    """The feature compatibility version; None when our user may not ask."""
    name = "featureCompatibilityVersion"
    try:
        reply = connection.command("admin", {"getParameter": 1, name: 1})
    except WireError as error:
        if error_code(error) == UNAUTHORIZED:
            return None
        raise
    return str(reply[name]["version"])
