"""What is made of a table while others are loaded, and what has to wait until all are in."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, ServerFactory, Taken, a_guard, restore, take
from holdfast.contracts.engine import Inventory
from holdfast.engines import staging_names
from holdfast.engines.postgresql.client import databases
from holdfast.engines.postgresql.load import pg_restore, table_checks
from holdfast.kit.backoff import pauses

MAJOR = 17
FILLING = """
CREATE TABLE filling (i int PRIMARY KEY, t text);
INSERT INTO filling SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 3000) i;
"""
LATE = """
CREATE TABLE zlate (i int PRIMARY KEY, t text);
INSERT INTO zlate SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 9000) i;
"""
"""Comes last of all in the archive."""

PLAIN = """
CREATE EXTENSION btree_gist;
CREATE EXTENSION citext;
CREATE TABLE kept (i int, a text, c citext, PRIMARY KEY (i), UNIQUE (a));
INSERT INTO kept SELECT i, md5(i::text), md5(i::text) FROM generate_series(1, 2000) i;
CREATE INDEX kept_expression ON kept (lower(a));
CREATE INDEX kept_part ON kept (i) WHERE a > 'a';
CREATE INDEX kept_citext ON kept (c);
CREATE INDEX kept_shape ON kept USING gist (i);
CREATE STATISTICS kept_statistics ON i, a FROM kept;
COMMENT ON CONSTRAINT kept_pkey ON kept IS 'of a constraint';
COMMENT ON INDEX kept_expression IS 'of an index';
COMMENT ON STATISTICS kept_statistics IS 'of statistics';
ALTER TABLE kept CLUSTER ON kept_pkey;
CREATE TABLE replicated (i int NOT NULL, j int);
CREATE UNIQUE INDEX replicated_i ON replicated (i);
ALTER TABLE replicated REPLICA IDENTITY USING INDEX replicated_i;
CREATE TABLE range (i int, k int, PRIMARY KEY (i, k)) PARTITION BY RANGE (k);
CREATE TABLE range_low PARTITION OF range FOR VALUES FROM (0) TO (100);
CREATE TABLE range_high PARTITION OF range FOR VALUES FROM (100) TO (2000) PARTITION BY LIST (k);
CREATE TABLE range_rest PARTITION OF range_high DEFAULT;
CREATE INDEX range_i ON range (i);
CREATE INDEX range_own ON range_low (k);
INSERT INTO range SELECT i, i FROM generate_series(1, 1999) i;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE hashed (m mood PRIMARY KEY) PARTITION BY HASH (m);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed VALUES ('sad'), ('ok');
CREATE TABLE heir (z int) INHERITS (kept);
CREATE INDEX heir_z ON heir (z);
INSERT INTO heir SELECT i, 'h' || i, 'c', i FROM generate_series(1, 50) i;
CREATE TABLE points (
  i int PRIMARY KEY REFERENCES kept, k int, l int REFERENCES zlate,
  CHECK (k > 0) NOT VALID, FOREIGN KEY (i, k) REFERENCES range, EXCLUDE USING gist (i WITH =)
);
INSERT INTO points SELECT i, i, i FROM generate_series(1, 100) i;
CREATE MATERIALIZED VIEW summed AS SELECT i % 10 AS d, count(*) FROM kept GROUP BY 1;
CREATE UNIQUE INDEX summed_d ON summed (d);
CREATE VIEW grouped AS SELECT i, a FROM kept GROUP BY kept.i;
CREATE TABLE "a b" (c int PRIMARY KEY);
CREATE SCHEMA "public a";
CREATE TABLE "public a".b (c int PRIMARY KEY);
INSERT INTO "public a".b VALUES (1);
"""

LOOKS = """
CREATE FUNCTION looks(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  IF NOT EXISTS (SELECT FROM public.zlate) THEN RAISE 'looked too early'; END IF;
  RETURN i;
END $$;
CREATE TABLE early (i int PRIMARY KEY, r int4range);
INSERT INTO early SELECT i, int4range(i, i + 1) FROM generate_series(1, 9) i;
"""
WAITING = {
    "an index": "CREATE INDEX ON early (looks(i))",
    "a condition": "CREATE INDEX ON early (i) WHERE looks(i) > 3",
    "an exclusion": "ALTER TABLE early ADD EXCLUDE USING gist (r WITH &&) WHERE (looks(i) > 0)",
    "statistics": "CREATE STATISTICS s ON looks(i), i FROM early; ANALYZE early",
    "a comparison": """
        CREATE TYPE own AS (i int);
        CREATE FUNCTION compares(a own, b own) RETURNS int IMMUTABLE LANGUAGE sql
          AS 'SELECT public.looks((a).i) - (b).i';
        CREATE FUNCTION less(a own, b own) RETURNS bool IMMUTABLE LANGUAGE sql
          AS 'SELECT (a).i < (b).i';
        CREATE OPERATOR < (LEFTARG = own, RIGHTARG = own, FUNCTION = less);
        CREATE OPERATOR CLASS owns DEFAULT FOR TYPE own USING btree
          AS OPERATOR 1 <, FUNCTION 1 compares(own, own);
        ALTER TABLE early ADD o own[];
        UPDATE early SET o = ARRAY[ROW(i)::own];
        CREATE INDEX ON early (o)
    """,
}


UNKNOWN_TO_THE_PLANNER = (
    "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'm', 'p') AND reltuples < 0"
)


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(pg_restore, "_HEAD_BYTES", (1 << 16,))


@pytest.fixture
def server(blank_server: ServerFactory) -> PostgresServer:
    made = blank_server(MAJOR)
    made.execute(LATE)
    return made


@dataclass
class Held:
    """Hands out a dump, but its last two thirds not before `until` is true of the staged one."""

    taken: Taken
    server: PostgresServer
    until: str

    def fetch(self, name: str) -> Iterator[bytes]:
        pieces = list(self.taken.fetch(name))
        for number, piece in enumerate(pieces):
            if name == "main.dump" and number == len(pieces) // 3:
                self._wait()
            yield piece

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        for pause in pauses(0.05):
            with self.server.connect("postgres") as opened:
                (staged,) = (
                    name
                    for name in databases.names(opened, staging_names.stages_prefix("op"))
                    if not name.endswith(staging_names.LEDGER)
                )
            if self.server.execute(self.until, staged):
                return
            assert time.monotonic() < deadline, "nothing was made of what is in"
            time.sleep(pause)

    def restore(self) -> Inventory:
        attempt = Log().attempt()
        loaded = self.server.engine.stage(
            self.server.address, self.taken.dump, self.fetch, attempt, a_guard()
        )
        self.server.engine.swap(self.server.address, self.taken.dump, attempt, a_guard())
        return loaded


@pytest.mark.parametrize("major", [15, 18])
def test_much_is_made_while_others_are_loaded(blank_server: ServerFactory, major: int) -> None:
    server = blank_server(major)
    server.execute(LATE + PLAIN)
    before = fingerprint(server.address)
    wanted = (
        "kept_pkey kept_a_key kept_expression kept_part kept_statistics heir_z range_pkey"
        " range_low_pkey range_low_i_idx range_own range_rest_pkey hashed_0_pkey"
    )
    made = (
        "SELECT 1 FROM (SELECT relname FROM pg_class"
        " UNION ALL SELECT stxname FROM pg_statistic_ext) made"
        f" WHERE relname = ANY('{{{wanted.replace(' ', ',')}}}') HAVING count(*) = 12"
        " AND (SELECT NOT EXISTS (SELECT FROM zlate))"
    )
    Held(take(server.engine, server.address), server, made).restore()
    found = differences(before, fingerprint(server.address))  # by hash, rows go where they fit
    assert [line for line in found if "/ rows / public.hashed_" not in line] == []
    assert server.execute(
        "SELECT obj_description('kept_expression'::regclass),"
        " (SELECT indisclustered FROM pg_index WHERE indexrelid = 'kept_pkey'::regclass),"
        " (SELECT indisreplident FROM pg_index WHERE indexrelid = 'replicated_i'::regclass)"
    ) == [("of an index", True, True)]
    assert server.execute("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []
    assert server.execute(  # of what is computed, statistics are there only after its index is
        "SELECT DISTINCT tablename::text FROM pg_stats WHERE tablename = 'kept_expression'"
    ) == [("kept_expression",)]
    assert server.execute("SELECT DISTINCT statistics_name::text FROM pg_stats_ext") == [
        ("kept_statistics",)
    ]
    assert server.execute(UNKNOWN_TO_THE_PLANNER) == []


def test_indexes_are_attached_one_after_the_other(server: PostgresServer) -> None:
    """Side by side, PostgreSQL itself leaves a partitioned index invalid: 4 times in 100 it did."""
    tree = """
        CREATE TABLE range{0} (i int, k int) PARTITION BY RANGE (k);
        CREATE TABLE range{0}_low PARTITION OF range{0} FOR VALUES FROM (0) TO (100);
        CREATE TABLE range{0}_high PARTITION OF range{0} FOR VALUES FROM (100) TO (2000)
          PARTITION BY LIST (k);
        CREATE TABLE range{0}_rest PARTITION OF range{0}_high DEFAULT;
        CREATE INDEX range{0}_i ON range{0} (i);
        INSERT INTO range{0} SELECT i, i FROM generate_series(1, 1999) i;
    """
    server.execute("".join(tree.format(number) for number in range(10)))
    server.execute("ALTER SYSTEM SET log_statement = 'ddl'")
    server.execute("SELECT pg_reload_conf()")
    taken = take(server.engine, server.address)
    restore(server.engine, server.address, taken, Log())
    pattern = r"\[(\d+)\] \S+ LOG: +statement: ALTER INDEX \S+ ATTACH PARTITION"
    sessions = re.findall(pattern, server.log.read_text())
    assert (len(sessions), len(set(sessions))) == (30, 1)
    assert server.execute("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []


@pytest.mark.parametrize("what", WAITING)
def test_what_looks_elsewhere_waits(server: PostgresServer, what: str) -> None:
    server.execute(LOOKS + WAITING[what] + ";" + FILLING)
    before = fingerprint(server.address)
    taken = take(server.engine, server.address)
    until = "SELECT 1 FROM pg_class WHERE relname = 'early_pkey'"
    if what == "a comparison":  # then nothing is made before all is in
        until = "SELECT 1"
    Held(taken, server, until).restore()
    assert differences(before, fingerprint(server.address)) == []


def test_an_index_that_cannot_be_made_is_left_out_and_named(server: PostgresServer) -> None:
    server.execute(
        "CREATE TABLE broken AS SELECT i / 2 AS i FROM generate_series(1, 9) i;"
        "CREATE INDEX broken_i ON broken (i);"
        "UPDATE pg_index SET indisunique = true WHERE indexrelid = 'broken_i'::regclass"
    )
    taken = take(server.engine, server.address)
    failed = (
        "SELECT 1 FROM pg_stat_database WHERE datname = current_database() AND xact_rollback > 0"
    )
    (index,) = Held(taken, server, failed).restore().skipped
    assert (index.database, index.kind, index.name) == ("main", "indexes", "index public.broken_i")
    assert 'could not create unique index "broken_i"' in index.reason
    assert server.execute("SELECT count(*) FROM broken") == [(9,)]


def test_what_was_counted_on_the_way_is_what_is_compared(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_checks, "count_rows", lambda *_: 7)
    server.execute(FILLING)
    taken = take(server.engine, server.address)
    analysed = "SELECT 1 FROM pg_statistic WHERE starelid = 'filling'::regclass"
    held = Held(taken, server, analysed)
    loaded = server.engine.stage(server.address, taken.dump, held.fetch, Log().attempt(), a_guard())
    assert {table.name: table.rows for table in loaded.tables} == {
        "public.filling": 7,
        "public.zlate": 9000,
    }


def test_rows_that_come_after_the_data_are_counted(server: PostgresServer) -> None:
    server.execute(
        FILLING + "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS"
        " 'INSERT INTO public.filling VALUES (-1) RETURNING i';"
        "CREATE MATERIALIZED VIEW written AS SELECT writes() AS i;"
        "DELETE FROM filling WHERE i = -1"
    )
    taken = take(server.engine, server.address)
    held = Held(taken, server, "SELECT 1 FROM pg_class WHERE relname = 'filling_pkey'")
    loaded = server.engine.stage(server.address, taken.dump, held.fetch, Log().attempt(), a_guard())
    assert {table.rows for table in loaded.tables} == {3001, 9000}


def test_what_was_staged_survives_the_death_of_the_server(server: PostgresServer) -> None:
    """No commit of a load is waited for, so the last thing that is done makes them durable."""
    server.execute("DROP TABLE zlate; CREATE SEQUENCE s; SELECT setval('s', 77)")
    before = fingerprint(server.address)
    taken = take(server.engine, server.address)
    attempt = Log().attempt()
    parent = psutil.Process(server.engine.running(server.place))
    suspend_writers(parent)
    try:
        server.engine.stage(server.address, taken.dump, taken.fetch, attempt, a_guard())
    finally:
        family = [parent, *parent.children()]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, 30)
        server.start()
    server.engine.swap(server.address, taken.dump, attempt, a_guard())
    assert differences(before, fingerprint(server.address)) == []


def suspend_writers(parent: psutil.Process) -> None:
    """Those that write down in time what nobody waits for."""
    for process in parent.children():
        with suppress(psutil.NoSuchProcess):
            if "writer" in " ".join(process.cmdline()):
                process.suspend()
