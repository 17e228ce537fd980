"""What an addon says of TLS: whether every connection of ours to its server is encrypted."""

from collections.abc import Callable

import pytest

from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import Address
from holdfast.engines.mysql.client.address import parse as mysql
from holdfast.engines.postgresql.client.address import parse as postgresql
from holdfast.views.addons import networking


@pytest.mark.parametrize(
    ("parse", "text", "encrypted"),
    [
        (mysql, "mysql://u:p@h/d", False),
        (mysql, "mysql://u:p@h/d?ssl-mode=DISABLED", False),
        (mysql, "mysql://u:p@h/d?ssl-mode=preferred", False),
        (mysql, "mysql://u:p@h/d?ssl-mode=REQUIRED", True),
        (mysql, "mysql://u:p@h/d?ssl_mode=verify-ca&ssl-ca=/ca.pem", True),
        (mysql, "mariadb://u:p@h/d?ssl-mode=VERIFY_IDENTITY", True),
        (postgresql, "postgresql://u:p@h/d", False),
        *(
            (postgresql, f"postgresql://u:p@h/d?sslmode={mode}", mode[0] in "rv")
            for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
        ),
    ],
)
def test_tls_is_said_to_be_on_when_nothing_goes_without_it(
    parse: Callable[[str], Address], text: str, *, encrypted: bool
) -> None:
    assert networking(Addon(options=parse(text).options)).tls_enabled is encrypted
