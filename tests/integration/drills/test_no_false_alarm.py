"""Twenty kinds of databases that a throwaway server is not made for: none is a drill that failed.

What is there all the same passes; what the machine lacks is inconclusive and named.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures.debian_postgres import Database, running_postgres
from fixtures.drills import DrillInstallation
from fixtures.holdfast import fresh
from fixtures.installation import installation_home, running

EXTENSIONS = Path("/usr/share/postgresql/15/extension")


@dataclass(frozen=True)
class Case:
    """`make` is run in the addon's database, `undo` afterwards; `lacks` is what the machine then
    lacks, in the words of the finding; None: it passes."""

    make: list[str]
    undo: list[str] = field(default_factory=list[str])
    lacks: str | None = None


CASES: dict[str, Case] = {
    "an extension that is gone": Case(
        ["CREATE EXTENSION holdfast_gone"], ["DROP EXTENSION holdfast_gone"], "holdfast_gone"
    ),
    "an extension with objects of the user": Case(
        ["CREATE EXTENSION hstore", "CREATE TABLE kv AS SELECT 'a=>1'::hstore AS h"],
        ["DROP TABLE kv", "DROP EXTENSION hstore"],
    ),
    "roles in roles": Case(
        [
            "CREATE ROLE chief CREATEROLE",
            "CREATE ROLE clerk LOGIN PASSWORD 'x'",
            "GRANT chief TO clerk WITH ADMIN OPTION",
            "CREATE TABLE owned (id int)",
            "ALTER TABLE owned OWNER TO clerk",
        ],
        ["DROP TABLE owned", "DROP ROLE clerk, chief"],
    ),
    "a tablespace": Case(
        ["CREATE TABLESPACE fast LOCATION '{directory}'", "CREATE TABLE here () TABLESPACE fast"],
        ["DROP TABLE here", "DROP TABLESPACE fast"],
    ),
    "a foreign server that does not answer": Case(
        [
            "CREATE EXTENSION postgres_fdw",
            "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '192.0.2.1')",
            "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'u', password 'p')",
            "CREATE FOREIGN TABLE distant (id int) SERVER far",
            "CREATE VIEW seen AS SELECT * FROM distant",
        ],
        ["DROP EXTENSION postgres_fdw CASCADE"],
    ),
    "objects in public": Case(
        [
            "CREATE TABLE public.spatial_ref_sys (srid int)",
            "CREATE FUNCTION public.now() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ],
        ["DROP TABLE public.spatial_ref_sys", "DROP FUNCTION public.now()"],
    ),
    "an event trigger that forbids everything": Case(
        [
            "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'not here'; END $$",
            "CREATE EVENT TRIGGER never ON ddl_command_start EXECUTE FUNCTION no()",
        ],
        ["DROP EVENT TRIGGER never", "DROP FUNCTION no()"],
    ),
    "an old collation": Case(
        [
            "CREATE COLLATION old (provider = icu, locale = 'de')",
            "CREATE TABLE names (n text COLLATE old)",
            "UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'old'",
        ],
        ["DROP TABLE names", "DROP COLLATION old"],
    ),
    "a check that leans on the search path": Case(
        [
            "CREATE TABLE limits (most int)",
            "CREATE FUNCTION small(n int) RETURNS bool LANGUAGE sql"
            " AS 'SELECT n < 10 OR EXISTS (SELECT FROM limits)'",
            "CREATE TABLE checked (n int CHECK (small(n)))",
            "INSERT INTO checked VALUES (1)",
        ],
        ["DROP TABLE checked", "DROP FUNCTION small", "DROP TABLE limits"],
    ),
    "large objects": Case(["SELECT lo_from_bytea(4711, 'abc')"], ["SELECT lo_unlink(4711)"]),
    "policies on rows": Case(
        [
            "CREATE TABLE secret (id int)",
            "INSERT INTO secret VALUES (1)",
            "ALTER TABLE secret ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE secret FORCE ROW LEVEL SECURITY",
            "CREATE POLICY none ON secret USING (false)",
        ],
        ["DROP TABLE secret"],
    ),
    "partitions": Case(
        [
            "CREATE TABLE parts (id int) PARTITION BY HASH (id)",
            "CREATE TABLE part_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "CREATE TABLE part_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
            "INSERT INTO parts SELECT generate_series(1, 99)",
        ],
        ["DROP TABLE parts"],
    ),
    "a publication and a subscription": Case(
        [
            "CREATE PUBLICATION news FOR ALL TABLES",
            "CREATE SUBSCRIPTION readers CONNECTION 'host=192.0.2.1' PUBLICATION news"
            " WITH (connect = false)",
        ],
        [
            "DROP PUBLICATION news",
            "ALTER SUBSCRIPTION readers SET (slot_name = NONE)",
            "DROP SUBSCRIPTION readers",
        ],
    ),
    "settings of roles and databases": Case(
        [
            "CREATE ROLE slow",
            "ALTER ROLE slow SET statement_timeout = '1ms'",
            "ALTER DATABASE {database} SET DateStyle = 'German'",
            "ALTER DATABASE {database} SET TimeZone = 'Asia/Kolkata'",
            "CREATE TABLE dates AS SELECT now() AS at, now()::date AS day",
        ],
        [
            "DROP TABLE dates",
            "DROP ROLE slow",
            "ALTER DATABASE {database} RESET ALL",
        ],
    ),
    "a closed database": Case(
        ["CREATE DATABASE closed ALLOW_CONNECTIONS false"], ["DROP DATABASE closed"]
    ),
    "another encoding": Case(
        ["CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"],
        ["DROP DATABASE latin"],
    ),
    "sequences and identities": Case(
        [
            "CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY, twice int"
            " GENERATED ALWAYS AS (7) STORED)",
            "INSERT INTO counted DEFAULT VALUES",
            "CREATE SEQUENCE lonely START 17",
            "SELECT nextval('lonely')",
        ],
        ["DROP TABLE counted", "DROP SEQUENCE lonely"],
    ),
    "types of the user": Case(
        [
            "CREATE TYPE mood AS ENUM ('sad', 'ok')",
            "CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0)",
            "CREATE TABLE typed (m mood, e even, r int4range, b bytea, x xml, j jsonb)",
            "INSERT INTO typed VALUES ('ok', 2, '[1,5)', '\\x00ff', '<a/>', '{{}}')",
        ],
        ["DROP TABLE typed", "DROP DOMAIN even", "DROP TYPE mood"],
    ),
    "a view nobody has refreshed": Case(
        ["CREATE MATERIALIZED VIEW stale AS SELECT 1 AS one WITH NO DATA"],
        ["DROP MATERIALIZED VIEW stale"],
    ),
    "names that need quotes": Case(
        ['CREATE TABLE "odd ""name"" \'x\' \\ %s" ("a.b" int)'],
        ['DROP TABLE "odd ""name"" \'x\' \\ %s"'],
    ),
}
OFTEN = ("an extension that is gone", "a foreign server that does not answer", "a tablespace")
"""What every run tries; the slow one tries the rest."""


class Visited(DrillInstallation):
    postgres: Database
    database: str


@pytest.fixture(scope="module")
def visited() -> Iterator[Visited]:
    server = running_postgres()
    try:
        with installation_home() as home, running(Visited(home, {})) as installation:
            installation.postgres, installation.database = server.database, server.database.create()
            project = installation.api.project()
            url = installation.postgres.url(installation.database)
            body = {"name": fresh("Own"), "type": "postgresql", "connectionString": url}
            addon = installation.api.post(f"/projects/{project}/addons", body).data["id"]
            installation.addon = f"/projects/{project}/addons/{addon}"
            yield installation
    finally:
        server.stop()


@pytest.fixture
def gone() -> Iterator[None]:
    """An extension that is there while it is made; `release` takes its files away."""
    control = EXTENSIONS / "holdfast_gone.control"
    script = EXTENSIONS / "holdfast_gone--1.sql"
    control.write_text("default_version = '1'\n")
    script.write_text("CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'SELECT 1';\n")
    yield
    control.unlink(missing_ok=True)
    script.unlink(missing_ok=True)


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in OFTEN else pytest.mark.slow) for n in CASES]
)
def test_what_the_machine_lacks_is_no_failure(visited: Visited, name: str) -> None:
    case = CASES[name]
    directory = visited.home / fresh("space")
    directory.mkdir()
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    words = {"directory": str(directory), "database": visited.database}
    for statement in case.make:
        visited.postgres.run(statement.format(**words), visited.database)
    try:
        backup = visited.backup(backupType="dump", compressionType="zstd")
        (EXTENSIONS / "holdfast_gone.control").unlink()
        drill = visited.drill(visited.addon, backup)
    finally:
        for statement in case.undo:
            visited.postgres.run(statement.format(**words), visited.database)
    told = visited.told(drill, visited.addon)
    expected = "passed" if case.lacks is None else "inconclusive"
    assert (drill["status"], drill.get("verdict")) == ("completed", expected), told
    if case.lacks is not None:
        assert any(case.lacks in finding["found"] for finding in drill["findings"]), told
