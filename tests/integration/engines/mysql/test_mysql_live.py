"""A restore into a server that goes on being written to, and one that is taken back."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pymysql
import pytest

from fixtures.mysql import MySQLServer, StartMySQL, leftovers, take
from fixtures.mysql_data import differences, fill, fingerprint
from fixtures.postgres import Log, a_guard
from holdfast.domain.errors import AddonUnavailable, RestoreDiffers
from holdfast.engines.mysql.driver import MySQL
from holdfast.engines.mysql.restore import renaming

LIVE = (
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.customer (id int PRIMARY KEY)",
    "INSERT INTO shop.customer VALUES (1)",
    "CREATE TABLE shop.sale (id int PRIMARY KEY AUTO_INCREMENT, who int, seen int DEFAULT 0,"
    " CONSTRAINT buyer FOREIGN KEY (who) REFERENCES shop.customer (id))",
    "CREATE TRIGGER shop.mark BEFORE INSERT ON shop.sale FOR EACH ROW SET NEW.seen = 1",
    "CREATE VIEW shop.sales AS SELECT id FROM shop.sale",
    "CREATE PROCEDURE shop.sell() INSERT INTO shop.sale (who) VALUES (1)",
)


class Writer:
    """Sells all the time, by the stock library. `refused`: numbers of errors."""

    def __init__(self, made: MySQLServer) -> None:
        self._made = made
        self._over = threading.Event()
        self.written = 0
        self.refused: set[int] = set()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self._sell()
            except pymysql.err.MySQLError as error:
                self.refused.add(int(error.args[0]))

    def _sell(self) -> None:
        with self._made.connect("shop") as session:
            while not self._over.is_set():
                session.execute("INSERT INTO sale (who) VALUES (1)")
                self.written += 1

    def stop(self) -> None:
        self._over.set()


@contextmanager
def writing(made: MySQLServer) -> Iterator[Writer]:
    writer = Writer(made)
    threads = [threading.Thread(target=writer.run) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield writer
    finally:
        writer.stop()
        for thread in threads:
            thread.join()


def unmarked(made: MySQLServer) -> int:
    return int(made.execute("SELECT count(*) FROM shop.sale WHERE seen = 0")[0][0])


def check_triggers_stay(
    source: MySQLServer, target: MySQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "_WAIT_SECONDS", 1)
    monkeypatch.setattr(renaming, "_MAX_TRIES", 1)
    for made in (source, target):
        made.execute(*LIVE)
    taken, engine, log = take(source.engine, source.address), target.engine, Log()
    before = fingerprint(target)
    attempt = log.attempt("op")
    engine.stage(target.address, taken.dump, taken.fetch, attempt, a_guard())
    with target.connect("shop") as holder, writing(target) as writer:
        holder.execute("BEGIN")
        holder.rows("SELECT * FROM sales")
        with pytest.raises(AddonUnavailable, match="do not let go"):
            engine.swap(target.address, taken.dump, attempt, a_guard())
        assert "as it was" in engine.discard(target.address, attempt)
        written = writer.written
        while writer.written < written + 10:
            time.sleep(0.01)
    assert unmarked(target) == 0
    target.execute("DELETE FROM shop.sale", "ALTER TABLE shop.sale AUTO_INCREMENT = 1")
    assert differences(before, fingerprint(target)) == []
    again = log.attempt("again")
    engine.stage(target.address, taken.dump, taken.fetch, again, a_guard())
    with writing(target) as writer:
        while writer.written < 10:
            time.sleep(0.01)
        engine.swap(target.address, taken.dump, again, a_guard())
    assert not leftovers(target)
    assert writer.refused <= {1146, 2013, 2006}


def test_a_live_database_is_never_written_to_without_its_triggers(
    mariadb: MySQLServer, other_mariadb: MySQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_triggers_stay(mariadb, other_mariadb, monkeypatch)


@pytest.mark.slow
def test_neither_is_one_of_mysql(
    start_mysql: StartMySQL, unstable_mysql: MySQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = (start_mysql(role, unstable_mysql) for role in ("source", "target"))
    for made in (source, target):
        made.wipe()
    check_triggers_stay(source, target, monkeypatch)


def check_undo(source: MySQLServer, target: MySQLServer) -> None:
    fill(source, customers=30)
    target.execute(
        *LIVE,
        "CREATE DATABASE left_alone COLLATE utf8mb4_unicode_ci",
        "CREATE TABLE left_alone.t (a int)",
        "INSERT INTO left_alone.t VALUES (1)",
        "CREATE TRIGGER shop.b_second BEFORE INSERT ON shop.sale FOR EACH ROW SET NEW.seen = 2",
        "CREATE TRIGGER shop.a_third BEFORE INSERT ON shop.sale FOR EACH ROW SET NEW.seen = 3",
        "CREATE EVENT shop.tick ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO SELECT 1",
        "CREATE USER ann@'%' IDENTIFIED BY 'before' REQUIRE SSL ACCOUNT LOCK",
        "GRANT SELECT ON shop.* TO ann@'%'",
        "GRANT EXECUTE ON PROCEDURE shop.sell TO ann@'%'",
    )
    taken, engine, log = take(source.engine, source.address), target.engine, Log()
    before = fingerprint(target)
    keeping = replace(log.attempt("restore"), keep_old=True)
    engine.stage(target.address, taken.dump, taken.fetch, keeping, a_guard())
    engine.swap(target.address, taken.dump, keeping, a_guard())
    assert engine.inventory(target.address) == taken.dump.inventory
    assert leftovers(target)
    for _ in range(2):  # until the old data is dropped it may be repeated
        engine.put_back(target.address, "restore", log.attempt("undo"), a_guard())
    engine.drop_aside(target.address, "restore", log.attempt("undo"), a_guard())
    assert differences(before, fingerprint(target)) == [], log.lines
    assert not leftovers(target)
    with pytest.raises(RestoreDiffers, match="nothing of this restore is set aside"):
        engine.put_back(target.address, "restore", log.attempt("undo"), a_guard())


def test_a_restore_is_taken_back(mariadb: MySQLServer, other_mariadb: MySQLServer) -> None:
    check_undo(mariadb, other_mariadb)


@pytest.mark.slow
def test_a_restore_into_mysql_is_taken_back(start_mysql: StartMySQL, unstable_mysql: MySQL) -> None:
    source, target = (start_mysql(role, unstable_mysql) for role in ("source", "target"))
    for made in (source, target):
        made.wipe()
    check_undo(source, target)


def test_old_data_is_dropped(mariadb: MySQLServer, other_mariadb: MySQLServer) -> None:
    mariadb.execute(*LIVE)
    other_mariadb.execute(*LIVE)
    taken, engine, log = take(mariadb.engine, mariadb.address), mariadb.engine, Log()
    keeping = replace(log.attempt("restore"), keep_old=True)
    engine.stage(other_mariadb.address, taken.dump, taken.fetch, keeping, a_guard())
    engine.swap(other_mariadb.address, taken.dump, keeping, a_guard())
    for _ in range(2):
        engine.drop_aside(other_mariadb.address, "restore", log.attempt("drop"), a_guard())
    assert not leftovers(other_mariadb)
    assert engine.inventory(other_mariadb.address) == taken.dump.inventory
