"""Features of SQLite files."""

import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing

from wild.grammar import Dialect, Weaver


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _string(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


DIALECT = Dialect(_quote, _string)

FEATURES: Mapping[str, str] = {
    "table": "CREATE TABLE <t> (<a> INTEGER PRIMARY KEY, <b> TEXT);;"
    " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < <#n>)"
    " INSERT INTO <t> SELECT i, hex(randomblob(9)) FROM n",
    "no column has a type": "CREATE TABLE <t> (<a>, <b>);; INSERT INTO <t> VALUES (1, 'x'), (X'00', 1.5)",
    "odd types": "CREATE TABLE <t> (<a> VARCHAR(10), <b> 'DOUBLE PRECISION', <c> FLOATING POINT,"
    " <d> [my type], <e> BOOLEAN);; INSERT INTO <t> VALUES (1, '2', '3', '4', 'yes')",
    "autoincrement": "CREATE TABLE <t> (<a> INTEGER PRIMARY KEY AUTOINCREMENT);;"
    " INSERT INTO <t> VALUES (100);; DELETE FROM <t>",
    "autoincrement never used": "CREATE TABLE <t> (<a> INTEGER PRIMARY KEY AUTOINCREMENT, <b>)",
    "gaps in rowids": "CREATE TABLE <t> (<a>);; INSERT INTO <t> (rowid, <a>)"
    " VALUES (-5, 'a'), (0, 'b'), (9223372036854775807, 'c')",
    "hidden rowid": "CREATE TABLE <t> (rowid TEXT, oid TEXT, _rowid_ TEXT);;"
    " INSERT INTO <t> VALUES ('a', 'b', 'c')",
    "column called rowid": "CREATE TABLE <t> (rowid TEXT, <a>);; INSERT INTO <t> VALUES ('x', 1)",
    "without rowid": "CREATE TABLE <t> (<a> TEXT, <b> INT, PRIMARY KEY (<b> DESC, <a>)) WITHOUT ROWID;;"
    " INSERT INTO <t> VALUES ('x', 1), ('y', 2)",
    "strict": "CREATE TABLE <t> (<a> INT, <b> ANY, <c> BLOB) STRICT;;"
    " INSERT INTO <t> VALUES (1, 1.0, X'ff'), (NULL, 'x', NULL)",
    "generated": "CREATE TABLE <t> (<a> INT, <b> INT AS (<a> * 2) STORED, <c> AS (<a> || 'x'));;"
    " INSERT INTO <t> (<a>) VALUES (1), (NULL)",
    "only one is not generated": "CREATE TABLE <t> (<b> AS (<a> + 1), <a>);; INSERT INTO <t> (<a>) VALUES (4)",
    "check": "CREATE TABLE <t> (<a> CHECK (<a> > 0) , CONSTRAINT <c> CHECK (typeof(<a>) <> 'blob'));;"
    " INSERT INTO <t> VALUES (1)",
    "check violated": "CREATE TABLE <t> (<a> CHECK (<a> > 0));; PRAGMA ignore_check_constraints = 1;;"
    " INSERT INTO <t> VALUES (-1)",
    "foreign key": "CREATE TABLE <p> (<a> INTEGER PRIMARY KEY);;"
    " CREATE TABLE <t> (<b> REFERENCES <p> ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);;"
    " INSERT INTO <p> VALUES (1);; INSERT INTO <t> VALUES (1)",
    "dangling foreign key": "CREATE TABLE <t> (<b> REFERENCES <p> (<a>));; INSERT INTO <t> VALUES (99)",
    "keys in a circle": "CREATE TABLE <p> (<a> PRIMARY KEY REFERENCES <t>);;"
    " CREATE TABLE <t> (<a> PRIMARY KEY REFERENCES <p>);;"
    " INSERT INTO <p> VALUES (1);; INSERT INTO <t> VALUES (1)",
    "unique": "CREATE TABLE <t> (<a> UNIQUE ON CONFLICT REPLACE, <b>, UNIQUE (<a>, <b>));;"
    " INSERT INTO <t> VALUES (1, 2), (NULL, 2), (NULL, 2)",
    "collations": "CREATE TABLE <t> (<a> TEXT COLLATE NOCASE PRIMARY KEY, <b> COLLATE RTRIM);;"
    " INSERT INTO <t> VALUES ('Abc', 'x  ')",
    "defaults": "CREATE TABLE <t> (<a> DEFAULT CURRENT_TIMESTAMP, <b> DEFAULT (random()), <c> DEFAULT X'00',"
    " <d> DEFAULT 'it''s; --', <e> DEFAULT -1.5e3);; INSERT INTO <t> DEFAULT VALUES",
    "added columns": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES (1);;"
    " ALTER TABLE <t> ADD COLUMN <b> TEXT DEFAULT 'later' NOT NULL;; INSERT INTO <t> VALUES (2, 'x')",
    "renamed": "CREATE TABLE <t> (<a>);; CREATE VIEW <v> AS SELECT <a> FROM <t>;;"
    " ALTER TABLE <t> RENAME TO <u>;; ALTER TABLE <u> RENAME COLUMN <a> TO <b>",
    "dropped column": "CREATE TABLE <t> (<a>, <b>);; INSERT INTO <t> VALUES (1, 2);;"
    " ALTER TABLE <t> DROP COLUMN <a>",
    "comments": "CREATE TABLE <t> -- a comment\n(<a> /* another; */ INT, -- last\n<b>)",
    "index": "CREATE TABLE <t> (<a>, <b>);; CREATE UNIQUE INDEX <i> ON <t> (<a> DESC, lower(<b>))"
    " WHERE <b> IS NOT NULL;; INSERT INTO <t> VALUES (1, 'X'), (1, NULL), (1, NULL)",
    "analysed": "CREATE TABLE <t> (<a>);; CREATE INDEX <i> ON <t> (<a>);;"
    " INSERT INTO <t> VALUES (1), (2);; ANALYZE",
    "view": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES (1);;"
    " CREATE VIEW <v> (<x>, <y>) AS SELECT <a>, count(*) OVER () FROM <t>",
    "view of nothing": "CREATE VIEW <v> AS SELECT * FROM <gone>",
    "views out of order": "CREATE VIEW <v> AS SELECT * FROM <w>;; CREATE TABLE <t> (<a>);;"
    " CREATE VIEW <w> AS SELECT <a> FROM <t>",
    "recursive view": "CREATE VIEW <v> AS WITH RECURSIVE n (i) AS (SELECT 1 UNION SELECT i + 1 FROM n"
    " WHERE i < 9) SELECT i FROM n",
    "trigger": "CREATE TABLE <t> (<a>);; CREATE TABLE <u> (<a>);; CREATE TRIGGER <g> AFTER INSERT ON <t>"
    " BEGIN INSERT INTO <u> VALUES (new.<a> || ';')\\; UPDATE <u> SET <a> = <a> WHERE 0\\; END;;"
    " INSERT INTO <t> VALUES (1), (2)",
    "trigger of a view": "CREATE TABLE <t> (<a>);; CREATE VIEW <v> AS SELECT <a> FROM <t>;;"
    " CREATE TRIGGER <g> INSTEAD OF INSERT ON <v> BEGIN INSERT INTO <t> VALUES (new.<a>)\\; END;;"
    " INSERT INTO <v> VALUES (3)",
    "trigger that refuses": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES (1);; CREATE TRIGGER <g> BEFORE"
    " INSERT ON <t> BEGIN SELECT RAISE(ABORT, 'no')\\; END",
    "fts5": "CREATE VIRTUAL TABLE <t> USING fts5(title, body);; INSERT INTO <t> VALUES ('a', 'b c'), ('d', '')",
    "fts5 contentless": "CREATE VIRTUAL TABLE <t> USING fts5(a, content='');;"
    " INSERT INTO <t> (rowid, a) VALUES (1, 'x y')",
    "fts4": "CREATE VIRTUAL TABLE <t> USING fts4(a, b);; INSERT INTO <t> VALUES ('x', 'y z')",
    "fts4 with options": "CREATE VIRTUAL TABLE <t> USING fts4(a, prefix='2', notindexed=a);;"
    " INSERT INTO <t> VALUES ('x')",
    "rtree": "CREATE VIRTUAL TABLE <t> USING rtree(id, a, b);; INSERT INTO <t> VALUES (1, 1.5, 2.5)",
    "looks like a shadow": "CREATE VIRTUAL TABLE docs_<#n> USING fts5(a);; CREATE TABLE docs_<#n>_notes (x);;"
    " INSERT INTO docs_<#n>_notes VALUES ('mine')",
    "named like a shadow": "CREATE TABLE thing<#n>_content (x);; CREATE TABLE thing<#n>_data (x);;"
    " CREATE TABLE thing<#n>_node (x);; INSERT INTO thing<#n>_content VALUES (1)",
    "numbers": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES (9223372036854775807), (-9223372036854775808),"
    " (9e999), (-9e999), (-0.0), (1e-320), (0.1), (123456789012345678)",
    "texts": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES ('a' || char(0) || 'b'), (char(10) || char(13)),"
    " (''), ('''; DROP TABLE x; --'), (char(128512)), (CAST(X'ff80' AS TEXT))",
    "numeric texts": "CREATE TABLE <t> (<a> TEXT, <b> NUMERIC, <c> BLOB);;"
    " INSERT INTO <t> VALUES ('1.0', '1.0', '1.0'), (1, '0x1F', '1e3'), ('007', '7 ', X'37')",
    "blobs": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES (X''), (zeroblob(100000)), (randomblob(70000))",
    "large row": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES (hex(zeroblob(2000000)))",
    "many rows": "CREATE TABLE <t> (<a>, <b>);; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
    " SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO <t> SELECT i % 9, i FROM n",
    "many columns": "CREATE TABLE <t> ("
    + ", ".join(f"c{i} DEFAULT {i}" for i in range(400))
    + ");;"
    " INSERT INTO <t> DEFAULT VALUES",
    "empty": "CREATE TABLE <t> (<a>)",
    "named like keywords": 'CREATE TABLE <t> ("select", "from", [group], `order`);;'
    " INSERT INTO <t> VALUES (1, 2, 3, 4)",
    "table of a select": "CREATE TABLE <t> AS SELECT 1 AS <a>, 'x' AS <b>, NULL AS <c>",
    "user version": "PRAGMA user_version = <#n>;; PRAGMA application_id = -<#m>",
    "json": "CREATE TABLE <t> (<a> TEXT CHECK (json_valid(<a>)));; INSERT INTO <t> VALUES ('{\"a\":[1,2]}');;"
    " CREATE INDEX <i> ON <t> (json_extract(<a>, '$.a'))",
    "primary key with nulls": "CREATE TABLE <t> (<a> TEXT PRIMARY KEY);; INSERT INTO <t> VALUES (NULL), (NULL)",
    "desc primary key": "CREATE TABLE <t> (<a> INTEGER PRIMARY KEY DESC);; INSERT INTO <t> VALUES ('x')",
    "double quoted string": "CREATE TABLE <t> (<a> DEFAULT 'd');; CREATE INDEX <i> ON <t> (<a>) WHERE <a> <> 'z'",
    "deleted pages": "CREATE TABLE <t> (<a>);; INSERT INTO <t> VALUES (zeroblob(500000));; DELETE FROM <t>",
    "upsert trigger chain": "CREATE TABLE <t> (<a> INTEGER PRIMARY KEY, <b>);; CREATE TRIGGER <g> AFTER UPDATE OF"
    " <b> ON <t> WHEN new.<b> > 5 BEGIN DELETE FROM <t> WHERE <a> = new.<a>\\; END;;"
    " INSERT INTO <t> VALUES (1, 1);; UPDATE <t> SET <b> = 9",
    "window view": "CREATE TABLE <t> (<a>);; CREATE VIEW <v> AS SELECT <a>, row_number() OVER w AS n FROM <t>"
    " WINDOW w AS (ORDER BY <a>)",
    "date functions": "CREATE TABLE <t> (<a> DEFAULT (datetime('now')), <b> AS (date(<a>)))",
    "no rows but sequence": "CREATE TABLE <t> (<a> INTEGER PRIMARY KEY AUTOINCREMENT);; INSERT INTO"
    " <t> VALUES (7);; DELETE FROM <t>;; UPDATE sqlite_sequence SET seq = 500 WHERE name = <'t'>",
}

BREAKS_ALTER = {"view of nothing"}
PRAGMAS = (
    *("encoding = 'UTF-16le'", "encoding = 'UTF-16be'", "page_size = 512", "page_size = 65536"),
    *("auto_vacuum = FULL", "auto_vacuum = INCREMENTAL", "journal_mode = WAL"),
    *("journal_mode = PERSIST", "journal_mode = TRUNCATE", "legacy_file_format = ON"),
)


def fill(url: str, seed: int, *, powerful: bool) -> list[str]:
    """Fills the file; says with which features."""
    weaver = Weaver(random.Random(seed), DIALECT)
    path = url.removeprefix("sqlite://")
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        for pragma in weaver.dice.sample(PRAGMAS, weaver.dice.randint(0, 3)):
            weaver.used.append(pragma)
            session.execute(f"PRAGMA {pragma}")
        # SQLite alters no table while a view somewhere is broken.
        for feature in sorted(weaver.choose(FEATURES, 2, 14), key=BREAKS_ALTER.__contains__):
            for statement in weaver.statements(FEATURES[feature]):
                try:
                    session.execute(statement.replace("\\;", ";"))
                except sqlite3.Error as error:
                    raise AssertionError(f"{feature}: {statement}: {error}") from error
    return weaver.used
