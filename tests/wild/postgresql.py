"""Features of PostgreSQL databases; those of `POWERFUL` want a superuser to make them."""

import random
from collections.abc import Mapping

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import Identifier, Literal

from wild.grammar import Dialect, Weaver

DIALECT = Dialect(
    quote=lambda name: Identifier(name).as_string(),
    string=lambda name: Literal(name).as_string().strip(),
)

PLAIN: Mapping[str, str] = {
    "table": "CREATE TABLE <t> (<a> int PRIMARY KEY, <b> text);;"
    " INSERT INTO <t> SELECT g, md5(g::text) FROM generate_series(1, <#n>) g",
    "empty table": "CREATE TABLE <t> ()",
    "table without a key": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (1), (1), (NULL)",
    "dropped column": "CREATE TABLE <t> (<a> int, <b> text, <c> int);;"
    " INSERT INTO <t> VALUES (1, 'x', 2);; ALTER TABLE <t> DROP COLUMN <b>",
    "identity": "CREATE TABLE <t> (<a> int GENERATED ALWAYS AS IDENTITY (START 7), <b> int);;"
    " INSERT INTO <t> (<b>) VALUES (1), (2)",
    "serial": "CREATE TABLE <t> (<a> bigserial PRIMARY KEY, <b> text);;"
    " INSERT INTO <t> (<b>) SELECT 'x' FROM generate_series(1, <#n>)",
    "sequence": "CREATE SEQUENCE <s> INCREMENT -3 MAXVALUE 99 START 50 CYCLE CACHE 5;;"
    " CREATE SEQUENCE <q>;;"
    " SELECT setval(quote_ident(<'q'>)::regclass, <#n>, false)",
    "generated column": "CREATE TABLE <t> (<a> int, <b> int GENERATED ALWAYS AS (<a> * 2) STORED);;"
    " INSERT INTO <t> (<a>) VALUES (1), (2)",
    "default of a function": "CREATE FUNCTION <f>() RETURNS int LANGUAGE sql AS 'SELECT 42';;"
    " CREATE TABLE <t> (<a> int DEFAULT <f>(), <b> int);; INSERT INTO <t> (<b>) VALUES (1)",
    "check": "CREATE TABLE <t> (<a> int CONSTRAINT <c> CHECK (<a> > 0));;"
    " INSERT INTO <t> VALUES (1)",
    "check not valid": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (-1);;"
    " ALTER TABLE <t> ADD CONSTRAINT <c> CHECK (<a> > 0) NOT VALID",
    "foreign key": "CREATE TABLE <p> (<a> int PRIMARY KEY);;"
    " CREATE TABLE <t> (<b> int REFERENCES <p> ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);;"
    " INSERT INTO <p> VALUES (1);; INSERT INTO <t> VALUES (1), (NULL)",
    "foreign key not valid": "CREATE TABLE <p> (<a> int PRIMARY KEY);; CREATE TABLE <t> (<b> int);;"
    " INSERT INTO <t> VALUES (9);;"
    " ALTER TABLE <t> ADD CONSTRAINT <c> FOREIGN KEY (<b>) REFERENCES <p> NOT VALID",
    "circle of keys": "CREATE TABLE <p> (<a> int PRIMARY KEY, <b> int);;"
    " CREATE TABLE <t> (<a> int PRIMARY KEY, <b> int REFERENCES <p>);;"
    " INSERT INTO <p> VALUES (1, 1);; INSERT INTO <t> VALUES (1, 1);;"
    " ALTER TABLE <p> ADD FOREIGN KEY (<b>) REFERENCES <t>",
    "key of itself": "CREATE TABLE <t> (<a> int PRIMARY KEY, <b> int REFERENCES <t>);;"
    " INSERT INTO <t> VALUES (2, 2), (1, 2)",
    "exclusion": "CREATE TABLE <t> (<a> int4range, EXCLUDE USING gist (<a> WITH &&));;"
    " INSERT INTO <t> VALUES ('[1,3)'), ('[3,5)')",
    "unique deferred": "CREATE TABLE <t> (<a> int CONSTRAINT <u> UNIQUE DEFERRABLE);;"
    " INSERT INTO <t> VALUES (1), (2)",
    "nulls not distinct": "CREATE TABLE <t> (<a> int, UNIQUE NULLS NOT DISTINCT (<a>));;"
    " INSERT INTO <t> VALUES (NULL)",
    "partial index": "CREATE TABLE <t> (<a> int, <b> text);;"
    " CREATE UNIQUE INDEX <i> ON <t> (lower(<b>) DESC NULLS LAST) INCLUDE (<a>) WHERE <a> > 5;;"
    " INSERT INTO <t> VALUES (1, 'A'), (2, 'a'), (9, 'B')",
    "kinds of indexes": "CREATE TABLE <t> (<a> int, <b> text, <c> int[], <d> point);;"
    " CREATE INDEX ON <t> USING hash (<b>);; CREATE INDEX ON <t> USING gin (<c>);;"
    " CREATE INDEX ON <t> USING spgist (<d>);; CREATE INDEX ON <t> USING brin (<a>);;"
    " INSERT INTO <t> VALUES (1, 'x', '{1,2}', '(1,2)')",
    "clustered": "CREATE TABLE <t> (<a> int);; CREATE INDEX <i> ON <t> (<a>);;"
    " ALTER TABLE <t> CLUSTER ON <i>;; INSERT INTO <t> VALUES (2), (1)",
    "replica identity": "CREATE TABLE <t> (<a> int NOT NULL);; CREATE UNIQUE INDEX <i> ON <t> (<a>);;"
    " ALTER TABLE <t> REPLICA IDENTITY USING INDEX <i>",
    "storage": "CREATE TABLE <t> (<a> text, <b> text) WITH (fillfactor = 70,"
    " autovacuum_enabled = off, toast.autovacuum_enabled = off);;"
    " ALTER TABLE <t> ALTER <a> SET STORAGE EXTERNAL, ALTER <b> SET COMPRESSION pglz;;"
    " INSERT INTO <t> SELECT repeat('x', 100000), repeat(md5(g::text), 3000)"
    " FROM generate_series(1, 3) g",
    "column statistics": "CREATE TABLE <t> (<a> int, <b> int);; ALTER TABLE <t> ALTER <a>"
    " SET STATISTICS 500, ALTER <b> SET (n_distinct = 5);;"
    " CREATE STATISTICS <s> (ndistinct, mcv) ON <a>, <b> FROM <t>",
    "unlogged": "CREATE UNLOGGED TABLE <t> (<a> int)",
    "range partitions": "CREATE TABLE <t> (<a> date NOT NULL, <b> int) PARTITION BY RANGE (<a>);;"
    " CREATE TABLE <p> PARTITION OF <t> FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');;"
    " CREATE TABLE <d> PARTITION OF <t> DEFAULT;;"
    " CREATE INDEX ON <t> (<b>);; ALTER TABLE <t> ADD PRIMARY KEY (<a>, <b>);;"
    " INSERT INTO <t> SELECT '2024-06-01'::date + g, g FROM generate_series(1, 400) g",
    "hash partitions": "CREATE TABLE <t> (<a> text) PARTITION BY HASH (<a>);;"
    " CREATE TABLE <p> PARTITION OF <t> FOR VALUES WITH (MODULUS 2, REMAINDER 0);;"
    " CREATE TABLE <q> PARTITION OF <t> FOR VALUES WITH (MODULUS 2, REMAINDER 1);;"
    " INSERT INTO <t> SELECT md5(g::text) FROM generate_series(1, 60) g",
    "hash partitions by enum": "CREATE TYPE <e> AS ENUM ('a', 'b', 'c', 'd');;"
    " CREATE TABLE <t> (<a> <e>) PARTITION BY HASH (<a>);;"
    " CREATE TABLE <p> PARTITION OF <t> FOR VALUES WITH (MODULUS 2, REMAINDER 0);;"
    " CREATE TABLE <q> PARTITION OF <t> FOR VALUES WITH (MODULUS 2, REMAINDER 1);;"
    " INSERT INTO <t> SELECT (enum_range(NULL::<e>))[1 + g % 4] FROM generate_series(1, 50) g",
    "list partitions of partitions": "CREATE TABLE <t> (<a> int, <b> text) PARTITION BY LIST (<a>);;"
    " CREATE TABLE <p> PARTITION OF <t> FOR VALUES IN (1, 2) PARTITION BY RANGE (<b>);;"
    " CREATE TABLE <q> PARTITION OF <p> FOR VALUES FROM (MINVALUE) TO ('m');;"
    " CREATE TABLE <r> PARTITION OF <p> FOR VALUES FROM ('m') TO (MAXVALUE);;"
    " INSERT INTO <t> VALUES (1, 'a'), (2, 'z')",
    "attached partition": "CREATE TABLE <t> (<a> int, <b> text) PARTITION BY RANGE (<a>);;"
    " CREATE TABLE <p> (<b> text, <a> int);; INSERT INTO <p> VALUES ('x', 5);;"
    " ALTER TABLE <t> ATTACH PARTITION <p> FOR VALUES FROM (1) TO (10)",
    "partitions with triggers": "CREATE TABLE <t> (<a> int) PARTITION BY RANGE (<a>);;"
    " CREATE TABLE <p> PARTITION OF <t> FOR VALUES FROM (0) TO (100);;"
    " CREATE FUNCTION <f>() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';;"
    " CREATE TRIGGER <g> BEFORE INSERT ON <t> FOR EACH ROW EXECUTE FUNCTION <f>();;"
    " INSERT INTO <t> VALUES (1), (2);; ALTER TABLE <p> DISABLE TRIGGER <g>",
    "inheritance": "CREATE TABLE <t> (<a> int, <b> text DEFAULT 'x');;"
    " CREATE TABLE <p> (<c> int) INHERITS (<t>);; ALTER TABLE <p> ALTER <b> SET DEFAULT 'y';;"
    " INSERT INTO <t> VALUES (1);; INSERT INTO <p> (<a>, <c>) VALUES (2, 3)",
    "typed table": "CREATE TYPE <c> AS (<a> int, <b> text);; CREATE TABLE <t> OF <c>;;"
    " INSERT INTO <t> VALUES (1, 'x')",
    "enum": "CREATE TYPE <e> AS ENUM ('', 'a', 'A');; ALTER TYPE <e> ADD VALUE 'b' BEFORE 'A';;"
    " CREATE TABLE <t> (<a> <e>[]);; INSERT INTO <t> VALUES ('{a,b}')",
    "domain": "CREATE DOMAIN <d> AS text DEFAULT 'n' NOT NULL CONSTRAINT <c> CHECK (length(VALUE) < 9);;"
    " CREATE TABLE <t> (<a> <d>, <b> <d>[]);; INSERT INTO <t> VALUES ('x', '{y}')",
    "range type": "CREATE TYPE <r> AS RANGE (SUBTYPE = float8);;"
    " CREATE TABLE <t> (<a> <r>);; INSERT INTO <t> VALUES ('[1.5,2)')",
    "composite column": "CREATE TYPE <c> AS (<a> int, <b> text[]);; CREATE TABLE <t> (<x> <c>, <y> <c>[]);;"
    " INSERT INTO <t> VALUES (ROW(1, ARRAY['a,b', 'c\"d']), ARRAY[ROW(2, NULL)::<c>])",
    "odd values": "CREATE TABLE <t> (<a> text, <b> bytea, <c> float8, <d> numeric, <e> timestamptz);;"
    r" INSERT INTO <t> VALUES (E'\\N\t\n\r\b\\.', '\x00ff', 'NaN', 'Infinity', 'infinity'),"
    " ('', '', 1e-300, 1e400::numeric, '0044-03-15 BC'), (chr(128512), NULL, -0.0, 0.10, NULL)",
    "many types": "CREATE TABLE <t> (<a> json, <b> jsonb, <c> xml, <d> inet, <e> macaddr8, <f> bit(3),"
    " <g> varbit, <h> interval, <i> money, <j> tsvector, <k> uuid, <l> int4multirange, <m> pg_lsn);;"
    " INSERT INTO <t> VALUES ('{\"a\": 1,  \"a\": 2}', '{\"a\": null}', '<x/>', '::1/64',"
    " '08:00:2b:01:02:03:04:05', B'101', B'1', '1 mon -3 days', '12.34', 'a:1 b', gen_random_uuid(),"
    " '{[1,3)}', '0/16B3748')",
    "large row": "CREATE TABLE <t> (<a> text);;"
    " INSERT INTO <t> SELECT string_agg(md5(g::text), '') FROM generate_series(1, 40000) g",
    "view": "CREATE TABLE <t> (<a> int, <b> text);; INSERT INTO <t> VALUES (1, 'x');;"
    " CREATE VIEW <v> WITH (security_barrier) AS SELECT *, <a> + 1 AS <c> FROM <t> WHERE <a> > 0"
    " WITH LOCAL CHECK OPTION",
    "view of a view": "CREATE TABLE <t> (<a> int PRIMARY KEY, <b> text);;"
    " CREATE VIEW <w> AS SELECT <a>, max(<b>) AS <m> FROM <t> GROUP BY <a>;;"
    " CREATE VIEW <v> AS SELECT * FROM <w>;; COMMENT ON COLUMN <v>.<m> IS 'of a view'",
    "recursive view": "CREATE RECURSIVE VIEW <v> (<n>) AS"
    " VALUES (1) UNION ALL SELECT <n> + 1 FROM <v> WHERE <n> < 5",
    "view and function in a circle": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (3);;"
    " CREATE VIEW <v> AS SELECT <a> FROM <t>;;"
    " CREATE FUNCTION <f>() RETURNS SETOF <v> LANGUAGE sql AS 'SELECT 1';;"
    " CREATE OR REPLACE VIEW <v> AS SELECT <a> FROM <t> WHERE EXISTS (SELECT FROM <f>())",
    "materialized view": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (1), (2);;"
    " CREATE MATERIALIZED VIEW <m> AS SELECT <a> * 2 AS <b> FROM <t>;;"
    " CREATE UNIQUE INDEX <i> ON <m> (<b>)",
    "materialized view of one": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (1);;"
    " CREATE MATERIALIZED VIEW <n> AS SELECT <a> FROM <t>;;"
    " CREATE MATERIALIZED VIEW <m> AS SELECT count(*) AS <c> FROM <n>",
    "materialized view never filled": "CREATE TABLE <t> (<a> int);;"
    " CREATE MATERIALIZED VIEW <m> AS SELECT <a> FROM <t> WITH NO DATA",
    "rule": "CREATE TABLE <t> (<a> int);; CREATE TABLE <u> (<a> int);; CREATE VIEW <v> AS SELECT * FROM <t>;;"
    " CREATE RULE <r> AS ON INSERT TO <v> DO INSTEAD INSERT INTO <u> VALUES (NEW.<a>);;"
    " INSERT INTO <v> VALUES (5)",
    "row trigger": "CREATE TABLE <t> (<a> int);; CREATE TABLE <u> (<a> int);;"
    " CREATE FUNCTION <f>() RETURNS trigger LANGUAGE plpgsql AS"
    " $wild$ BEGIN INSERT INTO <u> VALUES (NEW.<a>); RETURN NEW; END $wild$;;"
    " CREATE TRIGGER <g> AFTER INSERT ON <t> FOR EACH ROW WHEN (NEW.<a> > 0) EXECUTE FUNCTION <f>();;"
    " INSERT INTO <t> VALUES (1), (2);; ALTER TABLE <t> ENABLE ALWAYS TRIGGER <g>",
    "constraint trigger": "CREATE TABLE <t> (<a> int);;"
    " CREATE FUNCTION <f>() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';;"
    " CREATE CONSTRAINT TRIGGER <g> AFTER UPDATE ON <t> DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION <f>();;"
    " CREATE TRIGGER <h> AFTER INSERT ON <t> REFERENCING NEW TABLE AS x EXECUTE FUNCTION <f>()",
    "functions": "CREATE FUNCTION <f>(<a> int, OUT <b> int, VARIADIC <c> text[] DEFAULT '{}')"
    " LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog AS"
    " $body$ BEGIN <b> := <a>; END $body$;;"
    " CREATE FUNCTION <f>(text) RETURNS TABLE (<x> int) LANGUAGE sql BEGIN ATOMIC SELECT 1; END;;"
    " CREATE PROCEDURE <p>(INOUT <a> int) LANGUAGE plpgsql AS 'BEGIN COMMIT; END'",
    "function on a later table": "SET check_function_bodies = off;;"
    " CREATE FUNCTION <f>() RETURNS bigint LANGUAGE sql AS $wild$ SELECT count(*) FROM <t> $wild$;;"
    " CREATE TABLE <t> (<a> int)",
    "aggregate": "CREATE FUNCTION <f>(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';;"
    " CREATE AGGREGATE <g>(int) (SFUNC = <f>, STYPE = int, INITCOND = '0')",
    "operator": "CREATE FUNCTION <f>(int, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';;"
    " CREATE OPERATOR === (LEFTARG = int, RIGHTARG = text, FUNCTION = <f>)",
    "cast": "CREATE TYPE <c> AS (<a> int);; CREATE FUNCTION <f>(<c>) RETURNS text LANGUAGE sql AS"
    " 'SELECT 1::text';; CREATE CAST (<c> AS text) WITH FUNCTION <f>(<c>) AS ASSIGNMENT",
    "collation": "CREATE COLLATION <c> (provider = icu, locale = 'de-u-ks-level2', deterministic = false);;"
    " CREATE TABLE <t> (<a> text COLLATE <c> PRIMARY KEY);; INSERT INTO <t> VALUES ('Straße'), ('x')",
    "schema": "CREATE SCHEMA <s>;; CREATE TABLE <s>.<t> (<a> int);; INSERT INTO <s>.<t> VALUES (1);;"
    " CREATE FUNCTION <s>.<f>() RETURNS int LANGUAGE sql AS 'SELECT 1';;"
    " CREATE TABLE <u> (<a> int DEFAULT <s>.<f>())",
    "text search": "CREATE TEXT SEARCH DICTIONARY <d> (TEMPLATE = simple, STOPWORDS = english);;"
    " CREATE TEXT SEARCH CONFIGURATION <c> (COPY = english);;"
    " ALTER TEXT SEARCH CONFIGURATION <c> ALTER MAPPING FOR asciiword WITH <d>;;"
    " CREATE TABLE <t> (<a> text);; CREATE INDEX ON <t> USING gin (to_tsvector('english', <a>))",
    "row security": "CREATE TABLE <t> (<a> int, <b> name DEFAULT current_user);;"
    " ALTER TABLE <t> ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;;"
    " CREATE POLICY <p> ON <t> AS RESTRICTIVE FOR SELECT USING (<a> > 0);;"
    " CREATE POLICY <q> ON <t> FOR ALL USING (true) WITH CHECK (<a> < 100)",
    "comments": "CREATE TABLE <t> (<a> int);; COMMENT ON TABLE <t> IS <'t'>;;"
    " COMMENT ON COLUMN <t>.<a> IS E'two\\nlines \\'quoted\\'';; CREATE INDEX <i> ON <t> (<a>);;"
    " COMMENT ON INDEX <i> IS 'of an index'",
    "large objects": "SELECT lo_from_bytea(0, decode(repeat('00ff', <#n>), 'hex'));;"
    " SELECT lo_create(0)",
    "temporary table": "CREATE TEMPORARY TABLE <t> (<a> int)",
    "invalid index": "CREATE TABLE <t> (<a> int);; INSERT INTO <t> VALUES (1), (1);;"
    " DO $wild$ BEGIN CREATE UNIQUE INDEX <i> ON <t> (<a>); EXCEPTION WHEN unique_violation THEN END $wild$",
    "grants": "CREATE TABLE <t> (<a> int, <b> int);; GRANT SELECT ON <t> TO PUBLIC;;"
    " GRANT UPDATE (<b>) ON <t> TO PUBLIC;; CREATE SCHEMA <s>;; GRANT USAGE ON SCHEMA <s> TO PUBLIC;;"
    " CREATE FUNCTION <f>() RETURNS int LANGUAGE sql AS 'SELECT 1';;"
    " REVOKE ALL ON FUNCTION <f>() FROM PUBLIC",
    "default privileges": "CREATE SCHEMA <s>;;"
    " ALTER DEFAULT PRIVILEGES IN SCHEMA <s> GRANT SELECT ON TABLES TO PUBLIC",
    "prepared to fail": "CREATE FUNCTION <f>(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
    " 'BEGIN RETURN $1 * 2; END';; CREATE TABLE <t> (<a> int);;"
    " CREATE INDEX <i> ON <t> (<f>(<a>));; INSERT INTO <t> VALUES (1)",
}

POWERFUL: Mapping[str, str] = {
    "owners": "CREATE ROLE <r>;; CREATE TABLE <t> (<a> int);; ALTER TABLE <t> OWNER TO <r>;;"
    " INSERT INTO <t> VALUES (1);; CREATE SCHEMA <s> AUTHORIZATION <r>",
    "granted to roles": "CREATE ROLE <r> LOGIN;; CREATE ROLE <g>;; GRANT <g> TO <r> WITH ADMIN OPTION;;"
    " CREATE TABLE <t> (<a> int);; GRANT SELECT, INSERT ON <t> TO <g> WITH GRANT OPTION",
    "role with settings": "CREATE ROLE <r> LOGIN PASSWORD 'p' VALID UNTIL '2040-01-01' CONNECTION LIMIT 3;;"
    " ALTER ROLE <r> SET search_path = 'x', public;; ALTER ROLE <r> SET work_mem = '7MB';;"
    " COMMENT ON ROLE <r> IS 'somebody'",
    "ddl event trigger": "CREATE TABLE <l> (<a> text);; CREATE FUNCTION <f>() RETURNS event_trigger"
    " LANGUAGE plpgsql AS $wild$ BEGIN INSERT INTO <l> VALUES (tg_tag); END $wild$;;"
    " CREATE EVENT TRIGGER <e> ON ddl_command_end EXECUTE FUNCTION <f>();;"
    " ALTER EVENT TRIGGER <e> ENABLE ALWAYS;; CREATE TABLE <t> (<a> int)",
    "event trigger that refuses": "CREATE FUNCTION <f>() RETURNS event_trigger LANGUAGE plpgsql AS"
    " $wild$ BEGIN RAISE EXCEPTION 'no %', tg_tag; END $wild$;;"
    " CREATE TABLE <t> (<a> int);; CREATE EVENT TRIGGER <e> ON sql_drop EXECUTE FUNCTION <f>()",
    "publication": "CREATE TABLE <t> (<a> int PRIMARY KEY, <b> int);;"
    " CREATE PUBLICATION <p> FOR TABLE <t> (<a>) WHERE (<a> > 5) WITH (publish = 'insert')",
    "foreign table": "CREATE EXTENSION IF NOT EXISTS postgres_fdw;;"
    " CREATE SERVER <s> FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');;"
    " CREATE USER MAPPING FOR PUBLIC SERVER <s> OPTIONS (user 'nobody', password 'secret');;"
    " CREATE FOREIGN TABLE <t> (<a> int) SERVER <s> OPTIONS (table_name 'x')",
    "wrapper": "CREATE FOREIGN DATA WRAPPER <w>;; CREATE SERVER <s> FOREIGN DATA WRAPPER <w>",
    "extensions": "CREATE SCHEMA <s>;; CREATE EXTENSION IF NOT EXISTS hstore SCHEMA <s>;;"
    " CREATE EXTENSION IF NOT EXISTS pg_trgm;; CREATE TABLE <t> (<a> <s>.hstore, <b> text);;"
    " INSERT INTO <t> VALUES ('a=>1', 'x');; CREATE INDEX ON <t> USING gin (<b> gin_trgm_ops)",
    "unqualified function of an extension": "CREATE EXTENSION IF NOT EXISTS unaccent;;"
    " CREATE FUNCTION <f>(text) RETURNS text LANGUAGE sql IMMUTABLE AS"
    " $wild$ SELECT unaccent('unaccent', $1) $wild$;; CREATE TABLE <t> (<a> text);;"
    " INSERT INTO <t> VALUES ('Zoë');; CREATE INDEX ON <t> (<f>(<a>))",
    "view over a dead server": "CREATE EXTENSION IF NOT EXISTS postgres_fdw;;"
    " CREATE SERVER <s> FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');;"
    " CREATE FOREIGN TABLE <t> (<a> int) SERVER <s>;; CREATE VIEW <v> AS SELECT * FROM <t>",
    "access method": "CREATE ACCESS METHOD <m> TYPE TABLE HANDLER heap_tableam_handler;;"
    " CREATE TABLE <t> (<a> int) USING <m>;; INSERT INTO <t> VALUES (1)",
    "language": "CREATE TRUSTED LANGUAGE <l> HANDLER plpgsql_call_handler;;"
    " CREATE FUNCTION <f>() RETURNS int LANGUAGE <l> AS 'BEGIN RETURN 1; END'",
}

SETTINGS = (
    *("standard_conforming_strings = off", "default_transaction_read_only = on"),
    *("statement_timeout = '2s'", "lock_timeout = '1s'", "DateStyle = 'SQL, DMY'"),
    *("IntervalStyle = 'sql_standard'", "extra_float_digits = -5", "bytea_output = 'escape'"),
    *("search_path = pg_catalog", "search_path = 'nowhere'", "timezone = 'Asia/Kathmandu'"),
    *(
        "row_security = off",
        "default_transaction_isolation = 'serializable'",
        "xmloption = document",
    ),
    *("array_nulls = off", "quote_all_identifiers = on", "transform_null_equals = on"),
    *(
        "client_encoding = 'LATIN1'",
        "check_function_bodies = off",
        "default_toast_compression = pglz",
    ),
    *("idle_in_transaction_session_timeout = '1s'", "lo_compat_privileges = on"),
    *("session_replication_role = replica", "backslash_quote = off", "lc_monetary = 'C'"),
)
OF_SUPERUSERS = ("session_replication_role", "lo_compat_privileges", "lc_monetary", "backslash")


EVENT_TRIGGERS = {"ddl event trigger", "event trigger that refuses"}


def fill(url: str, seed: int, *, powerful: bool) -> list[str]:
    """Makes up to three databases of it; says which features they have."""
    weaver = Weaver(random.Random(seed), DIALECT)
    features = {**PLAIN, **POWERFUL} if powerful else PLAIN
    for _ in range(weaver.dice.randint(1, 3)):
        name = weaver.name()
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(f"CREATE DATABASE {DIALECT.quote(name)} TEMPLATE template0".encode())
        _fill_one(make_conninfo(url, dbname=name), weaver, features)
        if weaver.dice.random() < 0.5:
            setting = weaver.dice.choice(SETTINGS)
            weaver.used.append(setting)
            with psycopg.connect(url, autocommit=True) as session:
                if not powerful and setting.startswith(OF_SUPERUSERS):
                    continue
                session.execute(f"ALTER DATABASE {DIALECT.quote(name)} SET {setting}".encode())
    return weaver.used


def _fill_one(conninfo: str, weaver: Weaver, features: Mapping[str, str]) -> None:
    # An event trigger sees, and refuses, what other features do after it.
    for feature in sorted(weaver.choose(features, 2, 12), key=EVENT_TRIGGERS.__contains__):
        with psycopg.connect(conninfo, autocommit=True) as session:
            for statement in weaver.statements(features[feature]):
                try:
                    session.execute(statement.encode())
                except psycopg.Error as error:
                    raise AssertionError(f"{feature}: {statement}: {error}") from error
