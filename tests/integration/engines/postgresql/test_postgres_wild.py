"""What real databases hold that an ordinary one has not: dumped, restored, and equal or named."""

from collections.abc import Callable, Mapping
from typing import cast

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, Taken, restore, take
from holdfast.contracts.engine import Inventory
from holdfast.jobs.dumps import inventories

WITHOUT_PUBLIC = """
CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY); INSERT INTO app.t VALUES (1), (2);
DROP SCHEMA public; DROP EXTENSION plpgsql;
"""
PARTS = """
CREATE TABLE m (id int, at date NOT NULL, v text, CHECK (id > 0)) PARTITION BY RANGE (at);
CREATE TABLE m_2024 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE m_2025 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX ON m (id); ALTER TABLE m ADD PRIMARY KEY (id, at);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON m FOR EACH ROW EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON m DEFERRABLE FOR EACH ROW
  EXECUTE FUNCTION touch();
INSERT INTO m SELECT i, '2024-06-01'::date + i, 'x' FROM generate_series(1, 400) i;
CREATE TYPE status AS ENUM ('new', 'open', 'done', 'gone');
CREATE TABLE ticket (id int, st status NOT NULL) PARTITION BY HASH (st);
CREATE TABLE ticket_0 PARTITION OF ticket FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE ticket_1 PARTITION OF ticket FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE ticket_2 PARTITION OF ticket FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO ticket
  SELECT i, (enum_range(NULL::status))[1 + i % 4] FROM generate_series(1, 100) i;
CREATE TABLE double (a int); INSERT INTO double VALUES (1), (1);
"""
WATCHED = """
CREATE TABLE ddl_log (tag text);
CREATE TABLE t (id int); INSERT INTO t VALUES (1);
CREATE MATERIALIZED VIEW mv AS SELECT id FROM t;
CREATE MATERIALIZED VIEW mv2 AS SELECT count(*) FROM mv;
CREATE FUNCTION note_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.ddl_log VALUES (tg_tag); END $$;
CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION note_ddl();
CREATE EVENT TRIGGER log_all ON ddl_command_end EXECUTE FUNCTION note_ddl();
ALTER EVENT TRIGGER log_all ENABLE ALWAYS;
CREATE TABLE u (id int PRIMARY KEY); GRANT SELECT ON u TO PUBLIC; COMMENT ON TABLE u IS 'u';
"""
LOGIN = """
CREATE FUNCTION note_login() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN INSERT INTO public.ddl_log VALUES (session_user); END $$;
CREATE EVENT TRIGGER on_login ON login EXECUTE FUNCTION note_login();
ALTER EVENT TRIGGER on_login ENABLE ALWAYS;
"""
BY_PATH = """
CREATE EXTENSION unaccent;
CREATE FUNCTION f_unaccent(text) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT unaccent('unaccent', $1) $$;
CREATE TABLE person (id int PRIMARY KEY, name text);
INSERT INTO person SELECT i, 'Zoë ' || i FROM generate_series(1, 100) i;
CREATE FUNCTION slugify(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN RETURN lower(unaccent(v)); END $$;
CREATE TABLE page (id int PRIMARY KEY, title text,
  slug text GENERATED ALWAYS AS (slugify(title)) STORED);
INSERT INTO page (id, title) SELECT i, 'Zoë ' || i FROM generate_series(1, 10) i;
CREATE TABLE doc (id int PRIMARY KEY, body tsvector);
INSERT INTO doc SELECT i, to_tsvector('simple', 'word' || i || ' common')
  FROM generate_series(1, 50) i;
"""
BY_PATH_UP_TO_16 = """
CREATE INDEX person_name ON person (f_unaccent(name));
CREATE MATERIALIZED VIEW words AS SELECT word, ndoc FROM ts_stat('SELECT body FROM doc');
"""
"""Since 17 nobody can make these: the server uses a search path of its own for it."""
OWN_NAME = """
CREATE TABLE here (db name CHECK (db = current_database())); INSERT INTO here VALUES ('own_name');
"""
DATABASES: Mapping[str, str] = {
    "without_public": WITHOUT_PUBLIC,
    "parts": PARTS,
    "watched": WATCHED,
    "by_path": BY_PATH,
    "own_name": OWN_NAME,
}


def build(server: PostgresServer) -> None:
    major = server.engine.series(server.place.version)
    for name, script in DATABASES.items():
        server.execute(f"CREATE DATABASE {name}")
        server.execute(script, name)
    if int(major) >= 17:
        server.execute(LOGIN, "watched")
    else:
        server.execute(BY_PATH_UP_TO_16, "by_path")


def compared(taken: Taken, loaded: Inventory) -> list[str]:
    return inventories.differences(taken.dump.inventory, loaded)


MOVED = ("databases / parts / rows / public.ticket_", "databases / watched / rows / public.ddl_log")
"""Rows lie in other parts of their table; to look at a server is noted by its own login trigger."""


@pytest.mark.parametrize(
    ("source", "target"), [(15, 15), pytest.param(17, 17, marks=pytest.mark.slow)]
)
def test_wild_databases_come_back(
    start_postgres: Callable[[int, str], PostgresServer], source: int, target: int
) -> None:
    made, other = start_postgres(source, "blank"), start_postgres(target, "other")
    made.wipe()
    other.wipe()
    build(made)
    taken = take(made.engine, made.address)
    loaded = restore(other.engine, other.address, taken, Log())
    assert loaded.skipped == ()
    assert compared(taken, loaded) == []
    found = differences(fingerprint(made.address), fingerprint(other.address))
    assert [line for line in found if not line.startswith(MOVED)] == []
    assert other.execute("SELECT current_database()", "own_name") == [("own_name",)]
    assert {entry["object"] for entry in warnings(taken)} >= {"generated column public.page.slug"}


def test_what_a_newer_server_does_not_make_is_named(
    start_postgres: Callable[[int, str], PostgresServer],
) -> None:
    """All else is there, and the backup had said it."""
    made, other = start_postgres(14, "blank"), start_postgres(18, "other")
    made.wipe()
    other.wipe()
    build(made)
    taken = take(made.engine, made.address)
    loaded = restore(other.engine, other.address, taken, Log())
    named = {item.name for item in loaded.skipped}
    assert named == {"index public.person_name", "rows of materialized view public.words"}
    assert compared(taken, loaded) == []
    said = {entry["object"] for entry in warnings(taken) if entry["database"] == "by_path"}
    assert said == {
        "generated column public.page.slug",
        "index public.person_name",
        "materialized view public.words",
    }


def test_large_objects_come_back_beside_what_cannot_be_made(
    start_postgres: Callable[[int, str], PostgresServer],
) -> None:
    made, other = start_postgres(15, "blank"), start_postgres(15, "other")
    made.wipe()
    other.wipe()
    made.execute(
        "CREATE TRUSTED LANGUAGE no_extension HANDLER plpgsql_call_handler;"
        " SELECT lo_from_bytea(0, 'large'), lo_create(0)",
        "main",
    )
    loaded = restore(other.engine, other.address, take(made.engine, made.address), Log())
    assert [item.name for item in loaded.skipped] == ["procedural language no_extension"]
    large = "SELECT lo_get(oid) FROM pg_largeobject_metadata ORDER BY oid"
    assert other.execute(large, "main") == [(b"large",), (b"",)]


def warnings(taken: Taken) -> list[Mapping[str, str]]:
    return cast("list[Mapping[str, str]]", taken.dump.facts["warnings"])
