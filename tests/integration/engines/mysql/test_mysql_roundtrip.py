"""Dumps with every awkward feature come back as they were, and prove what they hold."""

import pytest

from fixtures.mysql import MySQLServer, StartMySQL, leftovers, restore, take
from fixtures.mysql_data import differences, fill, fingerprint
from fixtures.postgres import Log
from holdfast.engines.mysql.driver import MySQL


def check_round_trip(source: MySQLServer, target: MySQLServer) -> None:
    fill(source)
    before = fingerprint(source)
    taken = take(source.engine, source.address)
    target.execute("CREATE DATABASE in_the_way", "CREATE TABLE main.t (a int)")
    log = Log()
    loaded = restore(target.engine, target.address, taken, log)
    assert loaded == taken.dump.inventory == target.engine.inventory(target.address)
    found = differences(before, fingerprint(target))
    assert found == [], "\n".join(found)
    assert not leftovers(target)
    assert not [line for line in log.lines if "not applied" in line], log.lines
    assert any("in_the_way is not in the backup and is dropped" in line for line in log.lines)


def test_everything_comes_back_on_another_server(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    check_round_trip(mariadb, other_mariadb)


@pytest.mark.slow
def test_everything_comes_back_on_another_mysql(
    start_mysql: StartMySQL, unstable_mysql: MySQL
) -> None:
    source, target = (start_mysql(role, unstable_mysql) for role in ("source", "target"))
    for made in (source, target):
        made.wipe()
    check_round_trip(source, target)
