"""Names what a server lacks for its binary log to be archived."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.contracts.engine import Address
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import quote_name
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.physical import binlog, snapshot

_RIGHTS = ("REPLICATION SLAVE", "BINLOG MONITOR")


def lacks(tools_dir: Path, address: Address) -> list[str]:
    """Reasons why the binary log of this server cannot be archived, each with its cure."""
    with translated(), connect(address) as session:
        server = facts.server(session)
        if server["flavour"] != MARIADB:
            return [
                f"{server['flavour']} {server['version']} cannot be recovered to a point in time:"
                " no snapshots of it exist that a log could be replayed onto"
            ]
        try:
            snapshot.require_possible(tools_dir, address, session)
        except NotSupported as error:
            return [error.message]
        privileges = facts.privileges(session)
        is_on, row_format, sync, applies = session.row(
            "SELECT @@log_bin, @@binlog_format, @@sync_binlog, @@log_slave_updates"
        )
        replicas = session.value(
            "SELECT count(*) FROM information_schema.processlist WHERE command = 'Slave_SQL'"
        )
        problems: list[str] = []
        rights = [right for right in _RIGHTS if right not in privileges]
        if rights:
            problems.append(f"GRANT {', '.join(rights)} ON *.* TO {quote_name(address.user)}")
        if not is_on:
            problems.append("it keeps no binary log: set log_bin and restart it")
        if row_format != "ROW":
            problems.append("SET GLOBAL binlog_format = 'ROW', and in its configuration, too")
        if sync != 1:
            problems.append("SET GLOBAL sync_binlog = 1, and in its configuration, too")
        if is_on and replicas and not applies:
            problems.append(
                "what it replicates is not in its binary log: set log_slave_updates and restart it"
            )
        if problems:
            return problems
        status = session.named_rows("SHOW MASTER STATUS")[0]
    return _unusable(status)


def _unusable(status: Mapping[str, Any]) -> list[str]:
    """What SHOW MASTER STATUS says against the log."""
    if status["Binlog_Do_DB"] or status["Binlog_Ignore_DB"]:
        return ["its binary log leaves databases out: remove binlog_do_db and binlog_ignore_db"]
    try:
        binlog.split_name(str(status["File"]))
    except EvidenceMissing as error:
        return [error.message]
    return []
