"""Probes a server: its version, its size, and whether our user may read everything."""

from holdfast.contracts.engine import Address, Probe
from holdfast.domain.errors import AddonRefused
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import OLDEST, version_parts
from holdfast.engines.mysql.dump import accounts, trial_reads

_READING = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
"""Without them the stock tool leaves objects out, some silently. SELECT on *.* also shows the
bodies of routines."""


def probe(address: Address) -> Probe:
    """Raises AddonUnavailable or AddonRefused with the reason."""
    with translated(), connect(address) as session:
        server = supported_server(session, address)
        databases = facts.databases(session)
        require_whole_reads(session)
        names = [str(database["name"]) for database in databases]
        _require_rights(session, address, server, names)
        with_accounts = accounts.readable(session)
    return Probe(
        version=server["version"],
        major=".".join(server["version"].split(".")[:2]),
        flavour=server["flavour"],
        size=sum(int(database["size"]) for database in databases),
        facts={
            "databases": [database["name"] for database in databases],
            "readOnly": server["readOnly"],
            "consistency": "all databases in one snapshot, accounts apart",
            "accounts": with_accounts,
        },
    )


def connections(address: Address) -> int:
    """Clients that are connected now, without us."""
    with translated(), connect(address) as session:
        _, count = session.row("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
        return int(count) - 1


def _require_rights(
    session: Session, address: Address, server: Facts, databases: list[str]
) -> None:
    missing, reasons = missing_privileges(session), list[str]()
    for privilege, reason in trial_reads.denied(session, databases):
        reasons.append(reason)
        if privilege and privilege not in missing:
            missing.append(privilege)
    if not missing and not reasons:
        return
    named = f" Missing: {', '.join(missing)}." if missing else ""
    granted = f" Run: GRANT {', '.join(missing)} ON *.* TO {server['user']}" if missing else ""
    refused = f" The server said of {'; of '.join(reasons[:_MAX_REASONS])}." if reasons else ""
    raise AddonRefused(
        f"user {address.user} may not read everything.{named}{refused}{granted}",
        reason="privilege",
        missing=missing,
    )


_MAX_REASONS = 5
_NO_LIMIT = 18446744073709551615


def require_whole_reads(session: Session) -> None:
    """AddonRefused when global settings limit what new sessions read.

    The stock tools cannot override them, and would leave rows out silently.
    """
    limit, joined = session.row("SELECT @@GLOBAL.sql_select_limit, @@GLOBAL.max_join_size")
    settings = {"sql_select_limit": limit, "max_join_size": joined}
    wrong = {setting: value for setting, value in settings.items() if int(value) < _NO_LIMIT}
    if "MariaDB" in session.banner:
        as_of = str(session.value("SELECT @@GLOBAL.system_versioning_asof"))
        wrong |= {} if as_of == "DEFAULT" else {"system_versioning_asof": as_of}
    if wrong:
        shown = ", ".join(f"{setting} is {value}" for setting, value in wrong.items())
        remedy = "; ".join(f"SET GLOBAL {setting} = DEFAULT" for setting in wrong)
        raise AddonRefused(
            f"the server's global {shown}: the stock dump tool would leave rows out, or fail. Run:"
            f" {remedy}",
            reason="settings",
        )


def supported_server(session: Session, address: Address) -> Facts:
    """The server's facts. AddonRefused for other flavours and for versions that are too old."""
    server = facts.server(session)
    endpoint, flavour = f"{address.host}:{address.port}", server["flavour"]
    if flavour not in OLDEST:
        raise AddonRefused(
            f"{flavour} at {endpoint} is neither MariaDB nor MySQL", reason="flavour"
        )
    if version_parts(server["version"]) < OLDEST[flavour]:
        oldest = ".".join(map(str, OLDEST[flavour]))
        raise AddonRefused(
            f"{flavour} {server['version']} at {endpoint} is too old: {oldest} at least",
            reason="version",
        )
    return server


def missing_privileges(session: Session) -> list[str]:
    """Privileges that a dump of everything needs and this user lacks."""
    privileges = facts.privileges(session)
    missing = [privilege for privilege in _READING if privilege not in privileges]
    if not facts.may_lock_everything(privileges) and "LOCK TABLES" not in privileges:
        missing.append("LOCK TABLES")
    return missing
