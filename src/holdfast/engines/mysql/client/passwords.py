"""How a password is told to a server, so that none of its logs holds it where that can be had."""

import hashlib
from collections.abc import Callable

from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.kit.seal import Secret


def identified_by(flavour: str, password: Secret, quote: Callable[[str], str]) -> str:
    """The clause of CREATE and ALTER USER. MariaDB takes a hash; MySQL the text, quoted."""
    if flavour == MARIADB:
        return f"IDENTIFIED BY PASSWORD '{_native_hash(password)}'"
    return f"IDENTIFIED BY {quote(password.reveal())}"


def _native_hash(password: Secret) -> str:
    """What mysql_native_password keeps; SHA-1 is that format's choice."""
    once = hashlib.sha1(password.reveal().encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
