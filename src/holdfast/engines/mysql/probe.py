"""Looks at a server before anything is promised: version, size, and may we read everything?"""

from holdfast.contracts.engine import Address, Probe
from holdfast.domain.errors import AddonRefused
from holdfast.engines.mysql import accounts, facts
from holdfast.engines.mysql.address import connect
from holdfast.engines.mysql.complaints import translated
from holdfast.engines.mysql.facts import Facts
from holdfast.engines.mysql.tools import OLDEST, parts
from holdfast.engines.mysql.wire import Session

_READING = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
"""Without them the stock tool leaves things out, some of them silently. SELECT on everything also
shows the bodies of routines."""


def probe(address: Address) -> Probe:
    """Raises AddonUnavailable or AddonRefused with the reason."""
    with translated(), connect(address) as session:
        server = look(session, address)
        databases = facts.databases(session)
        missing = lacking(session)
        with_accounts = accounts.readable(session)
    if missing:
        raise AddonRefused(
            f"user {address.user} may not read everything. Missing: {', '.join(missing)}."
            f" Run: GRANT {', '.join(missing)} ON *.* TO {server['user']}",
            reason="privilege",
            missing=missing,
        )
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


def look(session: Session, address: Address) -> Facts:
    """The server's facts; refuses look-alikes and versions that are too old."""
    server = facts.server(session)
    where, flavour = f"{address.host}:{address.port}", server["flavour"]
    if flavour not in OLDEST:
        raise AddonRefused(f"{flavour} at {where} is neither MariaDB nor MySQL", reason="flavour")
    if parts(server["version"]) < OLDEST[flavour]:
        oldest = ".".join(map(str, OLDEST[flavour]))
        raise AddonRefused(
            f"{flavour} {server['version']} at {where} is too old: {oldest} at least",
            reason="version",
        )
    return server


def lacking(session: Session) -> list[str]:
    """Privileges a dump of everything needs and this user has not."""
    held = facts.privileges(session)
    missing = [privilege for privilege in _READING if privilege not in held]
    if not facts.may_lock_everything(held) and "LOCK TABLES" not in held:
        missing.append("LOCK TABLES")
    return missing
