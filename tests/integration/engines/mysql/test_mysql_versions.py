"""Clients and servers of different versions: each pair does what the README says."""

from pathlib import Path

import pytest

from fixtures.mysql import MySQLServer, StartMySQL, restore, take
from fixtures.mysql_data import differences, fill, fingerprint
from fixtures.postgres import Log
from holdfast.domain.errors import PreflightRefused, ToolMissing
from holdfast.engines.mysql import create
from holdfast.engines.mysql.client import tools
from holdfast.engines.mysql.driver import MySQL

pytestmark = pytest.mark.slow


@pytest.fixture
def newer(start_mysql: StartMySQL, unstable_mariadb: MySQL) -> MySQLServer:
    made = start_mysql("source", unstable_mariadb)
    made.wipe()
    return made


def only(monkeypatch: pytest.MonkeyPatch, tools_dir: Path) -> MySQL:
    """An engine on a machine that has no other programs than these."""
    monkeypatch.setattr(tools, "_SYSTEM_FOLDERS", ())
    monkeypatch.setattr(tools, "which", lambda _: None)
    return create(tools_dir)


def test_an_older_client_dumps_a_newer_mariadb(newer: MySQLServer, mysql_engine: MySQL) -> None:
    fill(newer)
    before = fingerprint(newer)
    taken = take(mysql_engine, newer.address)
    client = taken.dump.facts["tools"]
    assert isinstance(client, dict)
    assert str(client["version"]).startswith("10.11")
    newer.wipe()
    restore(mysql_engine, newer.address, taken, Log())
    assert differences(before, fingerprint(newer)) == []


def test_a_newer_client_dumps_an_older_mariadb(
    mariadb: MySQLServer,
    other_mariadb: MySQLServer,
    unstable_mariadb: MySQL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(mariadb)
    before = fingerprint(mariadb)
    with monkeypatch.context() as patch:
        engine = only(patch, unstable_mariadb.tools_dir)
        taken = take(engine, mariadb.address)
    client = taken.dump.facts["tools"]
    assert isinstance(client, dict)
    assert str(client["version"]).startswith("11.")
    restore(other_mariadb.engine, other_mariadb.address, taken, Log())
    assert differences(before, fingerprint(other_mariadb)) == []


def test_a_dump_goes_into_a_newer_server_but_not_back(
    mariadb: MySQLServer, newer: MySQLServer
) -> None:
    fill(mariadb)
    taken = take(mariadb.engine, mariadb.address)
    loaded = restore(newer.engine, newer.address, taken, Log())
    assert loaded == taken.dump.inventory
    back = take(newer.engine, newer.address)
    with pytest.raises(PreflightRefused, match="it must not be older"):
        mariadb.engine.preflight(mariadb.address, back.dump)


def test_mysql_needs_a_client_of_its_own_kind(
    start_mysql: StartMySQL,
    unstable_mysql: MySQL,
    mysql_engine: MySQL,
) -> None:
    made = start_mysql("source", unstable_mysql)
    with pytest.raises(ToolMissing, match=r"MySQL 9\.\S+ needs a client of MySQL 9"):
        take(mysql_engine, made.address)


def test_mysql_cannot_be_recovered_to_a_point_in_time(
    start_mysql: StartMySQL, unstable_mysql: MySQL
) -> None:
    made = start_mysql("source", unstable_mysql)
    [problem] = unstable_mysql.lacks(made.address, unbounded=False)
    assert "cannot be recovered to a point in time" in problem
    assert not unstable_mysql.follows(unstable_mysql.versions()[0])
