"""Sets passwords so that, where the server allows it, none of its logs holds them."""

import hashlib
from collections.abc import Callable

from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.kit.seal import Secret


def identified_by(flavour: str, password: Secret, quote: Callable[[str], str]) -> str:
    """The clause of CREATE and ALTER USER. MariaDB takes a hash; MySQL the text, quoted."""
    if flavour != MARIADB:
        return f"IDENTIFIED BY {quote(password.reveal())}"
    # The format of mysql_native_password, whose choice SHA-1 is.
    once = hashlib.sha1(password.reveal().encode(), usedforsecurity=False).digest()
    twice = hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
    return f"IDENTIFIED BY PASSWORD '*{twice}'"
