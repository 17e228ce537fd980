"""Disarms the accounts that a foreign snapshot brought.

A physical copy holds the server's accounts. Its author knows their passwords, and code runs with
its definer's rights. The accounts stay, because code needs its definers; but they cannot log in,
and have rights only on the databases that came along.
"""

from collections.abc import Collection

from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import Session, WireError, quote_pattern
from holdfast.engines.mysql.dump import accounts

_NO_SUCH_GRANT = 1141


def disarm(session: Session, flavour: str, keep: Collection[str]) -> int:
    """Disarms all accounts but `keep`; returns how many."""
    databases = [str(database["name"]) for database in facts.databases(session)]
    disarmed = [
        account for account in accounts.all_accounts(session, flavour) if account.user not in keep
    ]
    for account in disarmed:
        quoted = account.quoted()
        try:
            session.execute(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {quoted}")
        except WireError as error:
            if error.args[0] != _NO_SUCH_GRANT:
                raise
        for database in databases:
            session.execute(f"GRANT ALL PRIVILEGES ON {quote_pattern(database)}.* TO {quoted}")
        if not account.role:
            session.execute(f"ALTER USER {quoted} ACCOUNT LOCK")
    return len(disarmed)
