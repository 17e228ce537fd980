"""Which client dumps which server, and what is said when none may."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.domain.errors import ToolMissing
from holdfast.engines.mysql.client import tools
from holdfast.engines.mysql.client.tools import MARIADB, MYSQL, ToolSet

Have = Callable[..., None]


@pytest.fixture
def have(monkeypatch: pytest.MonkeyPatch) -> Have:
    """The machine has clients of these versions, given newest first."""

    def these(flavour: str, *versions: str) -> None:
        found = [ToolSet(flavour, v, "system", Path("dump"), None, None) for v in versions]
        monkeypatch.setattr(tools, "installed", lambda _: found)

    return these


@pytest.mark.parametrize(
    ("flavour", "clients", "server", "chosen"),
    [
        (MARIADB, ["11.4.2", "10.11.6"], "10.11.4", "10.11.6"),
        (MARIADB, ["11.4.2"], "10.6.18", "11.4.2"),  # newer client, older server
        (MARIADB, ["10.11.6"], "11.4.2", "10.11.6"),  # older client, newer server
        (MYSQL, ["9.7.0", "8.4.1"], "8.0.36", "8.4.1"),
        (MYSQL, ["8.4.1"], "8.4.5", "8.4.1"),
    ],
)
def test_the_closest_client_that_knows_the_server_is_taken(
    have: Have, flavour: str, clients: list[str], server: str, chosen: str
) -> None:
    have(flavour, *clients)
    assert tools.choose(Path("x"), flavour, server).version == chosen


@pytest.mark.parametrize(
    ("flavour", "clients", "wanted", "server"),
    [
        (MYSQL, ["8.0.36"], MYSQL, "8.4.1"),  # an older one would leave out what it does not know
        (MARIADB, ["11.4.2"], MYSQL, "8.0.36"),
        (MYSQL, ["9.7.0"], MARIADB, "10.11.6"),
    ],
)
def test_no_other_client_is_taken_instead(
    have: Have, flavour: str, clients: list[str], wanted: str, server: str
) -> None:
    have(flavour, *clients)
    with pytest.raises(ToolMissing, match=r"or newer\. Run: apt-get install"):
        tools.choose(Path("x"), wanted, server)
