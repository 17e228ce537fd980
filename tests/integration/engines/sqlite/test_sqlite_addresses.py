"""Connection strings of SQLite files."""

from pathlib import Path

import pytest

from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.engine import Address
from holdfast.domain.errors import Invalid
from holdfast.engines.sqlite import create
from holdfast.kit.seal import Secret


@pytest.mark.parametrize(
    "text",
    [
        *("", "/a/b", "file:///a", "sqlite://", "sqlite:///", "sqlite://a/b.db", "sqlite:///a/"),
        *("sqlite:///a/../b", "sqlite:///a/./b", "sqlite:///a/%2e%2e/b", "sqlite:///a%00b"),
        *("sqlite:///a?mode=rwc", "sqlite:////", "sqlite:////a/"),
    ],
)
def test_what_is_no_connection_string_is_invalid(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        create(Path("/nowhere")).parse(text)
    assert "connectionString" in caught.value.details


@pytest.mark.parametrize("text", ["sqlite:///srv/a.db", "sqlite:////srv/a.db"])
def test_an_absolute_path_begins_with_three_slashes_or_four(text: str) -> None:
    assert create(Path("/nowhere")).parse(text).database == "/srv/a.db"


def test_secrets_lead_back(sqlite_files: SqliteFiles) -> None:
    address = Address("", 0, "", Secret(""), str(sqlite_files.home / "odd name%?.db"))
    assert sqlite_files.engine.parse(sqlite_files.engine.secrets(address)["SQLITE_URI"]) == address
