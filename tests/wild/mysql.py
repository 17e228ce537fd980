"""Features of MariaDB and MySQL databases; those of `POWERFUL` want an administrator."""

import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

from wild.grammar import Dialect, Weaver


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _string(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "''") + "'"


DIALECT = Dialect(_quote, _string, longest=60, refused=frozenset({"🦊"}))

PLAIN: Mapping[str, str] = {
    "table": "CREATE TABLE <t> (<a> int PRIMARY KEY AUTO_INCREMENT, <b> varchar(80));;"
    " INSERT INTO <t> (<b>) SELECT md5(seq) FROM seq_1_to_<#n>",
    "table without a key": "CREATE TABLE <t> (<a> int, <b> text);; INSERT INTO <t> VALUES (1, 'x'), (1, 'x'),"
    " (NULL, NULL)",
    "empty table": "CREATE TABLE <t> (<a> int)",
    "auto increment ahead": "CREATE TABLE <t> (<a> bigint PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT = 5000;;"
    " INSERT INTO <t> VALUES (NULL);; DELETE FROM <t>",
    "zero in auto increment": "CREATE TABLE <t> (<a> int PRIMARY KEY AUTO_INCREMENT, <b> int);;"
    " SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';; INSERT INTO <t> VALUES (0, 1), (5, 2)",
    "generated": "CREATE TABLE <t> (<a> int, <b> int AS (<a> * 2) STORED, <c> int AS (<a> + 1) VIRTUAL,"
    " KEY (<c>));; INSERT INTO <t> (<a>) VALUES (1), (NULL)",
    "check": "CREATE TABLE <t> (<a> int CHECK (<a> > 0), CONSTRAINT <c> CHECK (<a> < 100));;"
    " INSERT INTO <t> VALUES (1)",
    "check violated": "CREATE TABLE <t> (<a> int, CHECK (<a> > 0));; SET check_constraint_checks = 0;;"
    " INSERT INTO <t> VALUES (-1)",
    "defaults": "CREATE TABLE <t> (<a> varchar(40) DEFAULT (uuid()), <b> datetime(3) DEFAULT now(3)"
    " ON UPDATE now(3), <c> int DEFAULT (1 + 2));; INSERT INTO <t> (<c>) VALUES (7)",
    "foreign key": "CREATE TABLE <p> (<a> int PRIMARY KEY);; CREATE TABLE <t> (<b> int,"
    " CONSTRAINT <c> FOREIGN KEY (<b>) REFERENCES <p> (<a>) ON DELETE CASCADE ON UPDATE SET NULL);;"
    " INSERT INTO <p> VALUES (1);; INSERT INTO <t> VALUES (1), (NULL)",
    "circle of keys": "CREATE TABLE <p> (<a> int PRIMARY KEY, <b> int);;"
    " CREATE TABLE <t> (<a> int PRIMARY KEY, <b> int, FOREIGN KEY (<b>) REFERENCES <p> (<a>));;"
    " INSERT INTO <p> VALUES (1, 1);; INSERT INTO <t> VALUES (1, 1);;"
    " ALTER TABLE <p> ADD FOREIGN KEY (<b>) REFERENCES <t> (<a>)",
    "key of itself": "CREATE TABLE <t> (<a> int PRIMARY KEY, <b> int, FOREIGN KEY (<b>) REFERENCES <t> (<a>));;"
    " SET foreign_key_checks = 0;; INSERT INTO <t> VALUES (1, 2), (2, 1)",
    "dangling foreign key": "CREATE TABLE <p> (<a> int PRIMARY KEY);;"
    " CREATE TABLE <t> (<b> int, FOREIGN KEY (<b>) REFERENCES <p> (<a>));;"
    " SET foreign_key_checks = 0;; INSERT INTO <t> VALUES (99)",
    "foreign key to nothing": "SET foreign_key_checks = 0;;"
    " CREATE TABLE <t> (<b> int, FOREIGN KEY (<b>) REFERENCES <gone> (<a>))",
    "indexes": "CREATE TABLE <t> (<a> int, <b> varchar(200), <c> text, KEY <i> (<a> DESC, <b> (20)),"
    " UNIQUE KEY <u> (<b>), FULLTEXT KEY <f> (<c>));; INSERT INTO <t> VALUES (1, 'x', 'some words')",
    "spatial": "CREATE TABLE <t> (<a> point NOT NULL, <b> polygon, <c> geometry, SPATIAL KEY (<a>));;"
    " INSERT INTO <t> VALUES (ST_GeomFromText('POINT(1 2)', 4326),"
    " ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), NULL)",
    "range partitions": "CREATE TABLE <t> (<a> int, <d> date) PARTITION BY RANGE (year(<d>))"
    " (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE);;"
    " INSERT INTO <t> VALUES (1, '2019-05-05'), (2, '2024-01-01'), (3, NULL)",
    "hash partitions": "CREATE TABLE <t> (<a> int PRIMARY KEY) PARTITION BY KEY (<a>) PARTITIONS 3;;"
    " INSERT INTO <t> SELECT seq FROM seq_1_to_50",
    "list partitions": "CREATE TABLE <t> (<a> int) PARTITION BY LIST (<a>) (PARTITION p0 VALUES IN (1, 2),"
    " PARTITION p1 DEFAULT);; INSERT INTO <t> VALUES (1), (9)",
    "subpartitions": "CREATE TABLE <t> (<a> int, <b> int) PARTITION BY RANGE (<a>) SUBPARTITION BY HASH (<b>)"
    " SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);;"
    " INSERT INTO <t> VALUES (1, 2), (50, 3)",
    "versioned": "CREATE TABLE <t> (<a> int, <b> int) WITH SYSTEM VERSIONING;; INSERT INTO <t> VALUES (1, 1);;"
    " UPDATE <t> SET <b> = 2",
    "application periods": "CREATE TABLE <t> (<a> int, <s> date, <e> date, PERIOD FOR <p> (<s>, <e>),"
    " UNIQUE (<a>, <p> WITHOUT OVERLAPS));; INSERT INTO <t> VALUES (1, '2020-01-01', '2021-01-01')",
    "sequence": "CREATE SEQUENCE <s> START 5 INCREMENT 3 CACHE 10;; SELECT nextval(<s>);;"
    " CREATE TABLE <t> (<a> int DEFAULT nextval(<s>), <b> int);; INSERT INTO <t> (<b>) VALUES (1)",
    "sequence that goes down": "CREATE SEQUENCE <s> START -1 INCREMENT -2 MINVALUE -99 CYCLE NOCACHE",
    "invisible": "CREATE TABLE <t> (<a> int, <b> int INVISIBLE DEFAULT 4);; INSERT INTO <t> (<a>) VALUES (1)",
    "numbers": "CREATE TABLE <t> (<a> bigint unsigned, <b> decimal(38,10), <c> double, <d> float,"
    " <e> bit(64), <f> int(5) zerofill);; INSERT INTO <t> VALUES (18446744073709551615,"
    " '-1234567890123456789012345678.0123456789', 1e-300, 0.1, b'101', 42), (0, 0, -0.0, 3e38, 0, 0)",
    "dates": "CREATE TABLE <t> (<a> date, <b> datetime(6), <c> timestamp NULL, <d> time(6), <e> year);;"
    " SET sql_mode = '';; INSERT INTO <t> VALUES ('0000-00-00', '2020-00-00 00:00:00', NULL, '-838:59:59', 0),"
    " ('9999-12-31', '1000-01-01 00:00:00.000001', '2038-01-19 03:14:07', '25:00:00', 2155)",
    "timestamps near a change of clocks": "CREATE TABLE <t> (<a> timestamp NOT NULL);;"
    " SET time_zone = '+00:00';; INSERT INTO <t> VALUES ('2024-10-27 00:30:00'), ('2024-10-27 01:30:00')",
    "texts": "CREATE TABLE <t> (<a> text CHARACTER SET utf8mb4, <b> longblob, <c> varbinary(50));;"
    " INSERT INTO <t> VALUES ('it''s \\\\ \\0 \\n \\r \\Z 🎉', 0x00ff0a0d1a275c22, 0x5c),"
    " ('', '', ''), (NULL, NULL, NULL)",
    "character sets": "CREATE TABLE <t> (<a> varchar(20) CHARACTER SET latin1, <b> varchar(20) CHARACTER SET ucs2,"
    " <c> varchar(20) CHARACTER SET sjis, <d> char(5) CHARACTER SET cp1251);;"
    " INSERT INTO <t> VALUES ('é', 'ü', 'ア', 'ж')",
    "invalid bytes": "CREATE TABLE <t> (<a> varchar(20) CHARACTER SET latin1);;"
    " INSERT INTO <t> VALUES (x'8081')",
    "collations": "CREATE TABLE <t> (<a> varchar(20) COLLATE utf8mb4_bin PRIMARY KEY,"
    " <b> varchar(20) COLLATE utf8mb4_german2_ci) COLLATE utf8mb4_swedish_ci;;"
    " INSERT INTO <t> VALUES ('a', 'ß'), ('A', 'ss')",
    "enum and set": "CREATE TABLE <t> (<a> enum('', 'a', 'it''s', 'é') , <b> set('x', 'y', 'z'));;"
    " INSERT INTO <t> VALUES ('it''s', 'x,z'), ('', ''), (NULL, NULL)",
    "json": "CREATE TABLE <t> (<a> json, <b> int AS (json_value(<a>, '$.n')) STORED);;"
    ' INSERT INTO <t> (<a>) VALUES (\'{"n": 5, "t": "\\\\u00e9"}\')',
    "uuid and inet": "CREATE TABLE <t> (<a> uuid, <b> inet6);; INSERT INTO <t> VALUES (uuid(), '::1')",
    "compressed column": "CREATE TABLE <t> (<a> text COMPRESSED);; INSERT INTO <t> VALUES (repeat('x', 9000))",
    "row formats": "CREATE TABLE <t> (<a> text) ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 4;;"
    " CREATE TABLE <u> (<a> int) ROW_FORMAT = REDUNDANT;; INSERT INTO <u> VALUES (1)",
    "wide row": "SET innodb_strict_mode = 0;; CREATE TABLE <t> ("
    + ", ".join(f"c{i} varchar(60) CHARACTER SET latin1" for i in range(190))
    + ") ROW_FORMAT = COMPACT;; INSERT INTO <t> (c1) VALUES ('x')",
    "large value": "CREATE TABLE <t> (<a> longblob);; INSERT INTO <t> VALUES (repeat('x', 3000000))",
    "myisam": "CREATE TABLE <t> (<a> int PRIMARY KEY, <b> text) ENGINE = MyISAM;; INSERT INTO <t> VALUES (1, 'x')",
    "aria": "CREATE TABLE <t> (<a> int) ENGINE = Aria TRANSACTIONAL = 1;; INSERT INTO <t> VALUES (1)",
    "memory": "CREATE TABLE <t> (<a> int) ENGINE = MEMORY",
    "view": "CREATE TABLE <t> (<a> int, <b> text);; INSERT INTO <t> VALUES (1, 'x');;"
    " CREATE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW <v> AS SELECT <a>, <b> FROM <t> WHERE <a> > 0"
    " WITH CASCADED CHECK OPTION",
    "view of a view": "CREATE TABLE <t> (<a> int);; CREATE VIEW <w> AS SELECT <a> FROM <t>;;"
    " CREATE VIEW <v> AS SELECT count(*) AS <x> FROM <w>",
    "view of what is gone": "CREATE TABLE <t> (<a> int);; CREATE VIEW <v> AS SELECT <a> FROM <t>;; DROP TABLE <t>",
    "view with a cte": "CREATE VIEW <v> AS WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
    " WHERE i < 5) SELECT i FROM n",
    "view that calls": "CREATE FUNCTION <f>(x int) RETURNS int DETERMINISTIC RETURN x + 1;;"
    " CREATE VIEW <v> AS SELECT <f>(1) AS <a>",
    "triggers in an order": "CREATE TABLE <t> (<a> int, <b> varchar(50));;"
    " CREATE TRIGGER <g> BEFORE INSERT ON <t> FOR EACH ROW SET NEW.<b> = concat(NEW.<b>, '1');;"
    " CREATE TRIGGER <h> BEFORE INSERT ON <t> FOR EACH ROW PRECEDES <g> SET NEW.<b> = concat(NEW.<b>, '2');;"
    " CREATE TRIGGER <k> BEFORE INSERT ON <t> FOR EACH ROW FOLLOWS <h> SET NEW.<b> = concat(NEW.<b>, '3');;"
    " INSERT INTO <t> VALUES (1, '')",
    "trigger that refuses": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (1);; CREATE TRIGGER <g>"
    " BEFORE INSERT ON <t> FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'",
    "trigger that writes": "CREATE TABLE <t> (<a> int);; CREATE TABLE <u> (<a> int);; CREATE TRIGGER <g>"
    " AFTER INSERT ON <t> FOR EACH ROW INSERT INTO <u> VALUES (NEW.<a>);; INSERT INTO <t> VALUES (1), (2)",
    "trigger of another mode": "CREATE TABLE <t> (a int);; SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT';;"
    ' CREATE TRIGGER <g> BEFORE INSERT ON <t> FOR EACH ROW SET NEW."a" = 1',
    "procedure": "CREATE PROCEDURE <p>(IN a int, OUT b int) READS SQL DATA COMMENT 'it''s; a' BEGIN"
    " DECLARE i int DEFAULT 0\\; -- don't\\; stop\n WHILE i < a DO SET i = i + 1\\; END WHILE\\;"
    " SET b = i\\; END",
    "function": "CREATE FUNCTION <f>(a varchar(20) CHARACTER SET latin1) RETURNS varchar(40) CHARSET utf8mb4"
    " DETERMINISTIC SQL SECURITY INVOKER RETURN concat(a, '\\\\', \"'\")",
    "aggregate function": "CREATE AGGREGATE FUNCTION <f>(x int) RETURNS int BEGIN DECLARE s int DEFAULT 0\\;"
    " DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s\\; LOOP FETCH GROUP NEXT ROW\\; SET s = s + x\\;"
    " END LOOP\\; END",
    "oracle procedure": "SET sql_mode = 'ORACLE';; CREATE PROCEDURE <p>(a INT) AS b INT := 5\\; BEGIN"
    " SELECT a + b\\; END",
    "package": "SET sql_mode = 'ORACLE';; CREATE PACKAGE <p> AS PROCEDURE q\\; END;;"
    " CREATE PACKAGE BODY <p> AS PROCEDURE q AS BEGIN SELECT 1\\; END\\; END",
    "event": "CREATE EVENT <e> ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' ON COMPLETION PRESERVE"
    " DISABLE COMMENT 'n;' DO BEGIN DELETE FROM x WHERE 0\\; END",
    "event that is past": "CREATE EVENT <e> ON SCHEDULE AT '2001-01-01 00:00:00' ON COMPLETION PRESERVE DO SELECT 1",
    "comments": "CREATE TABLE <t> (<a> int COMMENT 'c''s \\\\ \\n', KEY <i> (<a>) COMMENT 'of a key')"
    " COMMENT = 'it''s; -- a \"table\"'",
    "database options": "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci COMMENT 'a; comment'",
    "table of a select": "CREATE TABLE <t> AS SELECT 1 AS <a>, 'x' AS <b>",
    "dropped column": "CREATE TABLE <t> (<a> int, <b> int, <c> int);; INSERT INTO <t> VALUES (1, 2, 3);;"
    " ALTER TABLE <t> DROP COLUMN <b>, ALGORITHM = INSTANT",
    "added column": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (1);;"
    " ALTER TABLE <t> ADD COLUMN <b> int NOT NULL DEFAULT 7 FIRST, ALGORITHM = INSTANT",
    "many columns": "CREATE TABLE <t> (" + ", ".join(f"c{i} int" for i in range(500)) + ");;"
    " INSERT INTO <t> (c0) VALUES (1)",
}

POWERFUL: Mapping[str, str] = {
    "account": "CREATE USER <u>@'10.%' IDENTIFIED BY 'x;''' REQUIRE SSL WITH MAX_USER_CONNECTIONS 4",
    "locked account": "CREATE USER <u>@localhost ACCOUNT LOCK PASSWORD EXPIRE NEVER",
    "role": "CREATE ROLE <r>;; CREATE ROLE <s>;; GRANT <r> TO <s>;; CREATE TABLE <t> (<a> int);;"
    " GRANT SELECT ON <t> TO <r>",
    "grants": "CREATE USER <u>@'%';; CREATE TABLE <t> (<a> int, <b> int);; GRANT SELECT (<a>), UPDATE ON <t>"
    " TO <u>@'%' WITH GRANT OPTION",
    "view of a definer": "CREATE USER <u>@localhost;; CREATE TABLE <t> (<a> int);; GRANT SELECT ON <t> TO"
    " <u>@localhost;; CREATE DEFINER = <u>@localhost VIEW <v> AS SELECT <a> FROM <t>",
    "view whose definer is gone": "CREATE TABLE <t> (<a> int);;"
    " CREATE DEFINER = <u>@nowhere VIEW <v> AS SELECT <a> FROM <t>",
    "view whose definer is powerless": "CREATE USER <u>@localhost;; CREATE TABLE <t> (<a> int);;"
    " CREATE DEFINER = <u>@localhost VIEW <v> AS SELECT <a> FROM <t>",
    "procedure whose definer is gone": "CREATE DEFINER = <u>@nowhere PROCEDURE <p>() SELECT 1",
    "trigger whose definer is gone": "CREATE TABLE <t> (<a> int);; CREATE DEFINER = <u>@nowhere TRIGGER <g>"
    " BEFORE UPDATE ON <t> FOR EACH ROW SET NEW.<a> = 1",
    "definer is a role": "CREATE ROLE <r>;; CREATE TABLE <t> (<a> int);;"
    " CREATE DEFINER = <r> VIEW <v> AS SELECT 1 AS <a>",
}


def fill(url: str, seed: int, *, powerful: bool) -> list[str]:
    """Makes up to three databases of it; says which features they have."""
    weaver = Weaver(random.Random(seed), DIALECT)
    features = {**PLAIN, **POWERFUL} if powerful else PLAIN
    for _ in range(weaver.dice.randint(1, 3)):
        name = weaver.name()
        with _session(url) as session:
            session.cursor().execute(f"CREATE DATABASE {DIALECT.quote(name)}")
        for feature in weaver.choose(features, 2, 12):
            _make(url, name, weaver, feature, features[feature])
    return weaver.used


def _make(url: str, database: str, weaver: Weaver, feature: str, text: str) -> None:
    with _session(url) as session:
        cursor = session.cursor()
        cursor.execute(f"USE {DIALECT.quote(database)}")
        for statement in weaver.statements(text):
            try:
                cursor.execute(statement.replace("\\;", ";"))
            except pymysql.Error as error:
                raise AssertionError(f"{feature}: {statement[:300]}: {error}") from error


def _session(url: str) -> Any:
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=int(parts.port or 3306),
        user=unquote(str(parts.username)),
        password=unquote(str(parts.password)).encode(),
        autocommit=True,
        charset="utf8mb4",
    )
