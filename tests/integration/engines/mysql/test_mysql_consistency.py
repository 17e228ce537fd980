"""What is taken while others write is one moment of all databases together."""

from dataclasses import replace

import pytest

from fixtures.mysql import MySQLServer, restore, take
from fixtures.mysql_bank import busy, check_books, open_bank
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import EVERYTHING
from holdfast.domain.errors import AddonUnavailable
from holdfast.engines.mysql.client.connection import WireError
from holdfast.engines.mysql.dump import consistent_sessions
from holdfast.kit.seal import Secret


def test_a_dump_is_one_moment_of_all_databases(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    open_bank(mariadb)
    with busy(mariadb) as clerk:
        before = len(clerk.done)
        taken = take(mariadb.engine, mariadb.address)
        after = len(clerk.done)
    assert after > before, "nothing was written meanwhile: this proves nothing"
    restore(other_mariadb.engine, other_mariadb.address, taken, Log())
    check_books(other_mariadb, before)


def test_without_the_global_lock_it_is_one_moment_too(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    open_bank(mariadb)
    mariadb.execute(
        "CREATE USER modest IDENTIFIED BY 'm'",
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* TO modest",
    )
    modest = replace(mariadb.address, user="modest", password=Secret("m"))
    with busy(mariadb) as clerk:
        before = len(clerk.done)
        taken = take(mariadb.engine, modest)
    restore(other_mariadb.engine, other_mariadb.address, taken, Log())
    check_books(other_mariadb, before)


def test_tables_without_transactions_stand_still_while_they_are_dumped(
    mariadb: MySQLServer,
) -> None:
    mariadb.execute("CREATE TABLE main.m (a int) ENGINE=MyISAM", "INSERT INTO main.m VALUES (1)")
    log = Log()
    with mariadb.engine.dump(mariadb.address, EVERYTHING, log.attempt(), a_guard()) as session:
        source = session.open(session.members[-1])
        with mariadb.connect() as writer:
            writer.execute("SET SESSION lock_wait_timeout = 1")
            with pytest.raises(WireError, match="Lock wait timeout"):
                writer.execute("INSERT INTO main.m VALUES (2)")
        while source.read(1 << 20):
            pass
        source.finish()
    mariadb.execute("INSERT INTO main.m VALUES (2)")
    assert any("locked against writing" in line and "main.m" in line for line in log.lines)


def test_a_lock_that_is_not_given_ends_the_dump_and_nobody_waits_for_it(
    mariadb: MySQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's long statement must not make the dump hold up everybody."""
    monkeypatch.setattr(consistent_sessions, "_LOCK_WAIT_SECONDS", 1)
    mariadb.execute("CREATE TABLE main.t (a int)")
    with mariadb.connect() as holder:
        holder.execute("LOCK TABLES main.t WRITE")
        with pytest.raises(AddonUnavailable, match="lock was not given"):
            take(mariadb.engine, mariadb.address)
    mariadb.execute("INSERT INTO main.t VALUES (1)")
