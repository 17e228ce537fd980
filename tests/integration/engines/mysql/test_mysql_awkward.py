"""Databases that real people had: what is completed restores, and what cannot be made is named."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fixtures.mysql import MySQLServer, StartMySQL, Taken, leftovers, restore, take
from fixtures.mysql_data import _split, differences, fingerprint
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import WARNINGS, Scope
from holdfast.domain.errors import PreflightRefused
from holdfast.engines.mysql.driver import MySQL

ORDER = "SELECT trigger_name FROM information_schema.triggers ORDER BY action_order"
GONE = "DEFINER=`webapp`@`10.0.0.5`"
WIDE = ", ".join(f"c{number} varchar(60)" for number in range(200))
HARBOUR = (
    'GEOGCS["h",DATUM["h",SPHEROID["h",6378137,298]],PRIMEM["h",0],UNIT["degree",0.017],'
    'AXIS["Lat",NORTH],AXIS["Lon",EAST]]'
)

AWKWARD = f"""
CREATE DATABASE shop CHARACTER SET latin1 COMMENT 'orders; of the ''web'' shop'
USE shop
CREATE TABLE t (id int PRIMARY KEY, v varchar(50))
CREATE FUNCTION latin() RETURNS varchar(10) DETERMINISTIC RETURN 'x'
ALTER DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
CREATE TRIGGER z_trim BEFORE INSERT ON t FOR EACH ROW SET NEW.v = trim(NEW.v)
CREATE TRIGGER a_tag BEFORE INSERT ON t FOR EACH ROW SET NEW.v = concat(NEW.v, '<')
CREATE TRIGGER m_last BEFORE INSERT ON t FOR EACH ROW FOLLOWS a_tag SET NEW.v = concat(NEW.v, '>')
INSERT INTO t VALUES (1, ' x ')
CREATE USER webapp@'10.0.0.5' IDENTIFIED BY 'x'
GRANT SELECT, SHOW VIEW ON shop.* TO webapp@'10.0.0.5'
CREATE ROLE installation
GRANT SELECT ON shop.* TO PUBLIC
GRANT SELECT ON shop.* TO installation
CREATE {GONE} VIEW v_base AS SELECT id, v FROM t
CREATE {GONE} VIEW a_top AS SELECT id FROM v_base WHERE v <> ''
CREATE {GONE} FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2
GRANT EXECUTE ON FUNCTION shop.twice TO webapp@'10.0.0.5'
CREATE {GONE} VIEW a_calls AS SELECT twice(id) AS d FROM t
CREATE DEFINER=installation VIEW of_a_role AS SELECT id FROM t
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'
CREATE PROCEDURE zz_slash() SELECT 'a\\' AS one
SET SESSION sql_mode = ''
CREATE VIEW slash AS SELECT 'a\\\\b' AS one FROM t
SET SESSION innodb_strict_mode = OFF
CREATE TABLE wide (id int PRIMARY KEY, {WIDE})
INSERT INTO wide (id, c0) VALUES (1, 'a')
CREATE USER expired@'%' IDENTIFIED BY 'z' PASSWORD EXPIRE
CREATE USER locked@'%' IDENTIFIED BY 'z' ACCOUNT LOCK
CREATE TABLE checked (a int, CONSTRAINT positive CHECK (a > 0))
SET SESSION check_constraint_checks = OFF
INSERT INTO checked VALUES (-1)
CREATE TABLE in_memory (v varchar(255)) ENGINE=MEMORY
INSERT INTO in_memory SELECT repeat('x', 250) FROM seq_1_to_5000
CREATE TABLE hidden (id int PRIMARY KEY, secret int INVISIBLE DEFAULT 7, w int AS (id + 1))
INSERT INTO hidden (id) VALUES (1)
SET SESSION foreign_key_checks = OFF
CREATE TABLE dangling (a int, FOREIGN KEY (a) REFERENCES gone (x))
CREATE TABLE `p``x` (`a``b` int, c int, PRIMARY KEY (`a``b`, c))
CREATE TABLE `c``x` (`q``r` int, s int, CONSTRAINT `k``k` FOREIGN KEY (`q``r`, s)
 REFERENCES `p``x` (`a``b`, c) ON DELETE CASCADE)
CREATE TABLE long_key (v varchar(255), KEY (v)) CHARACTER SET utf8mb4
SET SESSION sql_mode = 'ORACLE'
CREATE PACKAGE pk AS FUNCTION g(a int) RETURN int; END
CREATE PACKAGE BODY pk AS FUNCTION g(a int) RETURN int AS BEGIN RETURN a * 2; END; END
CREATE OR REPLACE PROCEDURE oracle_one(a int) AS BEGIN SELECT a || 'x'; END
SET SESSION sql_mode = ''
CREATE AGGREGATE FUNCTION adds(n int) RETURNS int
 BEGIN DECLARE total int DEFAULT 0; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN total;
 LOOP FETCH GROUP NEXT ROW; SET total = total + n; END LOOP; END
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO SELECT 'ü;; ' AS one
CREATE DATABASE `quo'te "d"` COLLATE utf8mb4_general_ci
USE `quo'te "d"`
SET SESSION time_zone = '+05:00', sql_mode = 'ANSI_QUOTES'
CREATE EVENT "week;;ly" ON SCHEDULE EVERY 7 DAY STARTS '2031-02-03 04:05:06' DO SELECT "x" FROM y
SET SESSION time_zone = '+00:00', sql_mode = ''
ALTER DATABASE `quo'te "d"` COLLATE utf8mb4_bin
"""

HARSH = {
    "innodb_strict_mode": "ON",
    "sql_mode": "'TRADITIONAL,ANSI'",
    "sql_safe_updates": "ON",
    "tx_read_only": "ON",
    "sql_auto_is_null": "ON",
    "sql_select_limit": "3",
    "max_join_size": "1",
    "max_statement_time": "5",
    "completion_type": "2",
    "explicit_defaults_for_timestamp": "OFF",
    "old_mode": "''",
    "max_heap_table_size": "16384",
    "innodb_default_row_format": "compact",
    "default_storage_engine": "MyISAM",
    "time_zone": "'+09:00'",
    "autocommit": "OFF",
    "foreign_key_checks": "ON",
    "lc_messages": "'de_DE'",
    "character_set_server": "latin1",
}
"""What an operator may have set for everybody."""


def fill(made: MySQLServer, text: str = AWKWARD) -> None:
    made.execute(*_split(text))


def _usual(value: object) -> str:
    """A table says its row format where the server's default is another one."""
    return repr(value).replace(" ROW_FORMAT=DYNAMIC", "")


@pytest.fixture(scope="module")
def harsh_settings() -> Sequence[str]:
    return [f"SET GLOBAL {setting} = {value}" for setting, value in HARSH.items()]


def test_what_a_server_once_took_comes_back_under_any_settings(
    mariadb: MySQLServer, other_mariadb: MySQLServer, harsh_settings: Sequence[str]
) -> None:
    fill(mariadb)
    before = fingerprint(mariadb)
    taken = take(mariadb.engine, mariadb.address)
    other_mariadb.execute(
        "CREATE DATABASE shop",
        "SET SESSION sql_mode = 'ORACLE'",
        "CREATE PACKAGE shop.left AS FUNCTION g(a int) RETURN int; END",
    )
    kept = {s: other_mariadb.execute(f"SELECT @@GLOBAL.{s}")[0][0] for s in HARSH}
    log = Log()
    try:
        other_mariadb.execute(*harsh_settings)
        loaded = restore(other_mariadb.engine, other_mariadb.address, taken, log)
        assert loaded.skipped == (), log.lines
        assert (
            loaded == taken.dump.inventory == other_mariadb.engine.inventory(other_mariadb.address)
        )
    finally:
        reset = [f"SET GLOBAL {s} = %s" for s in kept]
        with other_mariadb.connect() as session:
            for statement, value in zip(reset, kept.values(), strict=True):
                session.execute(statement, [value])
    after = {key: _usual(value) for key, value in fingerprint(other_mariadb).items()}
    assert differences({key: _usual(value) for key, value in before.items()}, after) == []
    assert not leftovers(other_mariadb)
    other_mariadb.execute("INSERT INTO shop.t VALUES (2, ' y ')")
    assert other_mariadb.execute("SELECT v FROM shop.t ORDER BY id") == [("x<>",), ("y<>",)]
    assert other_mariadb.execute("SELECT * FROM shop.a_top") == [(1,), (2,)]
    assert other_mariadb.execute("SELECT * FROM shop.a_calls") == [(2,), (4,)]
    everybody = "SHOW GRANTS FOR PUBLIC"
    assert other_mariadb.execute(everybody) == mariadb.execute(everybody) != []
    assert other_mariadb.execute("SET sql_mode = 'ORACLE'", "SELECT shop.pk.g(2)") == [(4,)]


def script_only(taken: Taken) -> Taken:
    """The same backup without its accounts."""
    members = [each for each in taken.dump.members if each.name == "databases.sql"]
    return replace(taken, dump=replace(taken.dump, members=members))


def test_views_whose_accounts_are_not_there_are_made_and_named(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    """Also one that a source shows with the names of its databases: its account is gone there."""
    fill(mariadb)
    mariadb.execute("CREATE DEFINER=`nobody`@`%` VIEW shop.of_nobody AS SELECT id, v FROM shop.t")
    views = (
        "SELECT table_name, definer, view_definition FROM information_schema.views"
        " WHERE table_schema = 'shop' AND table_name <> 'of_a_role' ORDER BY 1"
    )
    taken, log = take(mariadb.engine, mariadb.address), Log()
    loaded = restore(other_mariadb.engine, other_mariadb.address, script_only(taken), log)
    assert loaded.skipped == (), log.lines
    assert other_mariadb.execute(views) == mariadb.execute(views)
    said = [line for line in log.lines if "is not on this server" in line]
    assert any("account webapp@10.0.0.5" in line and "shop.a_top" in line for line in said)
    assert any("account nobody@%" in line for line in said)
    security = "SELECT DISTINCT security_type FROM information_schema.routines"
    assert other_mariadb.execute(f"{security} WHERE routine_schema = 'shop'") == [("DEFINER",)]


def test_objects_that_cannot_be_made_do_not_keep_the_data_away(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    mariadb.execute(
        "CREATE DATABASE shop",
        "CREATE DATABASE outside",
        "CREATE TABLE outside.rates (id int PRIMARY KEY)",
        "CREATE TABLE shop.t (id int PRIMARY KEY)",
        "INSERT INTO shop.t VALUES (1)",
        "CREATE VIEW shop.elsewhere AS SELECT r.id FROM outside.rates r JOIN shop.t USING (id)",
        "CREATE VIEW shop.on_top AS SELECT id FROM shop.elsewhere",
        "CREATE VIEW shop.fine AS SELECT id FROM shop.t",
        "CREATE EVENT shop.over ON SCHEDULE AT '2035-01-01 00:00:00' DO SELECT 1",
    )
    taken, log = take(mariadb.engine, mariadb.address, scope=Scope("shop")), Log()
    other_mariadb.execute("SET GLOBAL event_scheduler = OFF")
    loaded = restore(other_mariadb.engine, other_mariadb.address, taken, log)
    assert [(s.database, s.kind, s.name) for s in loaded.skipped] == [
        ("shop", "views", "elsewhere"),
        ("shop", "views", "on_top"),
    ]
    assert all("doesn't exist" in s.reason for s in loaded.skipped)
    assert loaded.objects["shop"]["views"] == 1
    assert loaded.tables == taken.dump.inventory.tables
    assert other_mariadb.execute("SELECT id FROM shop.fine") == [(1,)]
    assert not leftovers(other_mariadb)
    assert any("not made" in line and "shop.elsewhere" in line for line in log.lines)


REFERRING = """
CREATE DATABASE crm
CREATE TABLE crm.lead_ (id int PRIMARY KEY, customer int, CONSTRAINT `of a customer`
 FOREIGN KEY (customer) REFERENCES shop.customer (id) ON DELETE CASCADE)
INSERT INTO crm.lead_ VALUES (1, 1), (3, 3)
"""
CUSTOMERS = """
CREATE DATABASE shop
CREATE TABLE shop.customer (id int PRIMARY KEY, v varchar(9))
INSERT INTO shop.customer VALUES (1, 'a'), (2, 'b')
"""


def test_foreign_keys_of_databases_that_stay_refer_to_what_came(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    fill(mariadb, CUSTOMERS)
    taken, log = take(mariadb.engine, mariadb.address), Log(keep_others=True)
    fill(other_mariadb, f"{CUSTOMERS}INSERT INTO shop.customer VALUES (3, 'c')\n{REFERRING}")
    before = other_mariadb.execute("SHOW CREATE TABLE crm.lead_")
    restore(other_mariadb.engine, other_mariadb.address, taken, log)
    assert other_mariadb.execute("SHOW CREATE TABLE crm.lead_") == before
    assert not leftovers(other_mariadb)
    assert any("1 of its rows refer to rows that the backup lacks" in line for line in log.lines)
    other_mariadb.execute("INSERT INTO crm.lead_ VALUES (2, 2)", "DELETE FROM shop.customer")
    assert other_mariadb.execute("SELECT id FROM crm.lead_") == [(3,)]
    engine, address = other_mariadb.engine, other_mariadb.address
    engine.preflight(address, take(engine, address).dump)


@pytest.mark.parametrize(
    "other", ["CREATE TABLE shop.nothing (a int)", "CREATE TABLE shop.customer (id varchar(9))"]
)
def test_a_restore_that_would_break_them_is_refused(
    mariadb: MySQLServer, other_mariadb: MySQLServer, other: str
) -> None:
    mariadb.execute("CREATE DATABASE shop", other)
    taken, log = take(mariadb.engine, mariadb.address), Log(keep_others=True)
    fill(other_mariadb, f"{CUSTOMERS}INSERT INTO shop.customer VALUES (3, 'c')\n{REFERRING}")
    before = fingerprint(other_mariadb)
    engine, address = other_mariadb.engine, other_mariadb.address
    remedy = r"run: ALTER TABLE `crm`.`lead_` DROP FOREIGN KEY `of a customer`"
    with pytest.raises(PreflightRefused, match=remedy):
        engine.stage(address, taken.dump, taken.fetch, log.attempt(), a_guard())
    engine.discard(address, log.attempt())
    assert fingerprint(other_mariadb) == before


MYSQL = f"""
CREATE DATABASE shop CHARACTER SET latin1
USE shop
CREATE TABLE t (id int PRIMARY KEY, v varchar(50))
CREATE FUNCTION latin() RETURNS varchar(10) DETERMINISTIC RETURN 'x'
ALTER DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
CREATE TRIGGER z_trim BEFORE INSERT ON t FOR EACH ROW SET NEW.v = trim(NEW.v)
CREATE TRIGGER a_tag BEFORE INSERT ON t FOR EACH ROW SET NEW.v = concat(NEW.v, '<')
INSERT INTO t VALUES (1, ' x ')
CREATE USER webapp@'10.0.0.5' IDENTIFIED BY 'x'
GRANT SELECT, SHOW VIEW ON shop.* TO webapp@'10.0.0.5'
CREATE {GONE} VIEW v_base AS SELECT id, v FROM t
CREATE {GONE} VIEW a_top AS SELECT id FROM v_base WHERE v <> ''
CREATE {GONE} FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2
GRANT EXECUTE ON FUNCTION shop.twice TO webapp@'10.0.0.5'
CREATE {GONE} VIEW a_calls AS SELECT twice(id) AS d FROM t
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'
CREATE PROCEDURE zz_slash() SELECT 'a\\' AS one
SET SESSION sql_mode = ''
CREATE VIEW slash AS SELECT 'a\\\\b' AS one FROM t
CREATE USER expired@'%' IDENTIFIED BY 'z' PASSWORD EXPIRE
CREATE USER locked@'%' IDENTIFIED BY 'z' ACCOUNT LOCK
CREATE TABLE checked (a int, CONSTRAINT positive CHECK (a > 0) NOT ENFORCED)
INSERT INTO checked VALUES (-1)
CREATE TABLE no_key (a int)
CREATE TABLE hidden (id int PRIMARY KEY, secret int DEFAULT 7 INVISIBLE, w int AS (id + 1) VIRTUAL)
INSERT INTO hidden (id) VALUES (1)
CREATE TABLE parent (a int, b int, KEY (a))
SET SESSION restrict_fk_on_non_standard_key = OFF
CREATE TABLE child (a int, CONSTRAINT odd FOREIGN KEY (a) REFERENCES parent (a))
CREATE SPATIAL REFERENCE SYSTEM IF NOT EXISTS 990099 NAME 'of the harbour'
 ORGANIZATION 'o''x' IDENTIFIED BY 7
 DEFINITION '{HARBOUR}'
CREATE TABLE berths (place point SRID 990099)
CREATE USER two@'%' IDENTIFIED BY 'old'
ALTER USER two@'%' IDENTIFIED BY 'new' RETAIN CURRENT PASSWORD
"""
HARSH_MYSQL = {
    "sql_require_primary_key": "ON",
    "sql_generate_invisible_primary_key": "OFF",
    "restrict_fk_on_non_standard_key": "ON",
    "innodb_strict_mode": "ON",
    "explicit_defaults_for_timestamp": "OFF",
    "transaction_read_only": "ON",
    "sql_safe_updates": "ON",
    "max_execution_time": "1",
    "sql_select_limit": "3",
    "completion_type": "2",
}


@pytest.mark.slow
def test_mysql_takes_what_mysql_once_took(start_mysql: StartMySQL, unstable_mysql: MySQL) -> None:
    source, target = (start_mysql(role, unstable_mysql) for role in ("source", "target"))
    for made in (source, target):
        made.wipe()
    fill(source, MYSQL)
    before, taken, log = fingerprint(source), take(source.engine, source.address), Log()
    kept = {s: target.execute(f"SELECT @@GLOBAL.{s}")[0][0] for s in HARSH_MYSQL}
    try:
        target.execute(*(f"SET GLOBAL {s} = {value}" for s, value in HARSH_MYSQL.items()))
        loaded = restore(target.engine, target.address, taken, log)
        assert loaded.skipped == (), log.lines
    finally:
        with target.connect() as session:
            for setting, value in kept.items():
                session.execute(f"SET GLOBAL {setting} = %s", [value])
    assert differences(before, fingerprint(target)) == []
    assert not leftovers(target)
    assert target.execute("SELECT * FROM shop.a_top") == [(1,)]
    assert [w["object"] for w in taken.dump.facts[WARNINGS] if "two passwords" in w["text"]] == [
        "two@%"
    ]


@pytest.mark.slow
def test_a_newer_mariadb_takes_it_all_too(
    mariadb: MySQLServer, start_mysql: StartMySQL, unstable_mariadb: MySQL
) -> None:
    newer = start_mysql("target", unstable_mariadb)
    newer.wipe()
    fill(mariadb)
    taken, log = take(mariadb.engine, mariadb.address), Log()
    loaded = restore(newer.engine, newer.address, taken, log)
    assert loaded == taken.dump.inventory, log.lines
    again = take(newer.engine, newer.address)
    newer.wipe()
    assert restore(newer.engine, newer.address, again, log) == again.dump.inventory
    newer.execute("INSERT INTO shop.t VALUES (2, ' y ')")
    assert newer.execute("SELECT v FROM shop.t ORDER BY id") == [("x<>",), ("y<>",)]
