"""Dumps with every awkward feature come back as they were, and prove what they hold."""

from fixtures.mysql import MySQLServer, leftovers, restore, take
from fixtures.mysql_data import differences, fill, fingerprint
from fixtures.postgres import Log


def test_everything_comes_back_on_another_server(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    fill(mariadb)
    before = fingerprint(mariadb)
    taken = take(mariadb.engine, mariadb.address)
    other_mariadb.execute("CREATE DATABASE in_the_way", "CREATE TABLE main.t (a int)")
    log = Log()
    loaded = restore(other_mariadb.engine, other_mariadb.address, taken, log)
    assert loaded == taken.dump.inventory == other_mariadb.engine.inventory(other_mariadb.address)
    assert differences(before, fingerprint(other_mariadb)) == []
    assert not leftovers(other_mariadb)
    assert not [line for line in log.lines if "not applied" in line], log.lines
    print(log.lines, taken.said)
