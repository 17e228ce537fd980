"""Boots a restored data directory in private, checks it, and gives it this server's users.

It starts as a set of one, so that it applies what its oplog has more than its data.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from holdfast.contracts.local_servers import (
    CHECKED_AFTERWARDS,
    DIFFERENCES,
    SETTLED,
    LocalServer,
    is_foreign,
)
from holdfast.domain.errors import EvidenceMissing
from holdfast.domain.evidence import Check
from holdfast.engines.mongodb.client.connection import Connection
from holdfast.engines.mongodb.client.tools import ToolSet
from holdfast.engines.mongodb.dump.archive import VIEW
from holdfast.engines.mongodb.dump.inventory import databases, definitions
from holdfast.engines.mongodb.hosting import administrator, private_server
from holdfast.engines.mongodb.physical.snapshot import DATA
from holdfast.engines.programs import series
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import mark

CheckDatabase = Callable[[Connection, str, Guard], Check | None]
"""Lets the server check a database; None when there is nothing in it."""


class Rehearsal:
    """One private boot of `tree / "data"`, whose databases `check_database` judges."""

    def __init__(
        self,
        tool_set: ToolSet,
        tree: Path,
        server: LocalServer,
        guard: Guard,
        check_database: CheckDatabase,
    ) -> None:
        self._tools = tool_set
        self._check_database = check_database
        self._data = tree / DATA
        self._server = server
        self._guard = guard

    def run(self, facts: Mapping[str, Any]) -> Mapping[str, object]:
        """Facts about what was proven. RestoreDiffers when it does not start, EvidenceMissing when
        it is damaged."""
        boot = private_server.booted(
            self._tools, self._data, self._server, self._guard, in_set=True
        )
        with boot as connection:
            release = self._guard.adopt(connection.cut)
            try:
                proven = self._check(connection, facts)
                if is_foreign(facts):
                    self._remove_accounts(connection)
                administrator.adopt(connection, self._server)
                self._upgrade(connection, facts)
            finally:
                release()
        if self._server.admin is not None:
            mark(self._data / SETTLED)
        return proven

    def _check(self, connection: Connection, facts: Mapping[str, Any]) -> Mapping[str, object]:
        checks: list[Check] = []
        names: set[str] = set()
        for database in databases(connection):
            if CHECKED_AFTERWARDS not in facts:
                check = self._check_database(connection, database, self._guard)
                checks += [check] if check is not None else []
            names |= {
                f"{database}.{item.name}"
                for item in definitions(connection, database)
                if item.type != VIEW
            }
        damage = [check.found for check in checks if not check.passed]
        if damage:
            raise EvidenceMissing("; ".join(damage))
        saved = set(facts["documents"])
        differences = [f"{name} was saved and is missing" for name in sorted(saved - names)]
        differences += [f"{name} was not saved and is there" for name in sorted(names - saved)]
        checked = {check.name: check.found for check in checks}
        return {"checked": checked, DIFFERENCES: differences}

    def _remove_accounts(self, connection: Connection) -> None:
        """Users whom a stranger may have made: their passwords and rights are his."""
        reply = connection.command("admin", {"usersInfo": {"forAllDBs": True}})
        for user in reply["users"]:
            if user["db"] != "admin" or user["user"] not in self._server.users:
                connection.command(user["db"], {"dropUser": user["user"]})

    def _upgrade(self, connection: Connection, facts: Mapping[str, Any]) -> None:
        """Data of the series before takes the new one's formats, as any later upgrade expects."""
        target = series(self._tools.version)
        if facts["series"] != target:
            command: dict[str, Any] = {"setFeatureCompatibilityVersion": target}
            if target not in ("5.0", "6.0"):
                command["confirm"] = True
            connection.command("admin", command)
