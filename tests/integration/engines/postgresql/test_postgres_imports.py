"""Files as people have them: what the stock client takes is taken, and the rest is said."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest

from fixtures.debian_postgres import Database
from fixtures.imported import pieces, taken_in
from fixtures.postgres import Log, PostgresServer, ServerFactory, a_guard
from holdfast.contracts.engine import Inventory
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.imports import survey
from holdfast.engines.postgresql.imports.staging import OWNER
from holdfast.jobs.dumps import inventories


@pytest.fixture
def target(blank_server: ServerFactory) -> PostgresServer:
    return blank_server(15)


def load(server: PostgresServer, body: bytes, log: Log | None = None) -> Inventory:
    """As a job does it: surveyed, loaded beside, compared, put in place."""
    engine, address, log = server.engine, server.address, log or Log()
    dump = taken_in(engine, body)
    engine.preflight(address, dump)
    attempt = log.attempt()
    loaded = engine.stage(address, dump, lambda _: pieces(body), attempt, a_guard())
    assert inventories.shortfalls(dump.inventory, loaded) == []
    engine.swap(address, dump, attempt, a_guard())
    return loaded


def left_out(log: Log) -> set[str]:
    return {line.removeprefix("left out: ") for line in log.lines if line.startswith("left out")}


SCRIPTS: dict[str, tuple[bytes, str, list[tuple[object, ...]]]] = {
    "an owner with a space": (
        b"CREATE TABLE public.orders (id integer);\n"
        b'ALTER TABLE public.orders OWNER TO "shop admin";',
        "SELECT count(*) FROM orders",
        [(0,)],
    ),
    "pg_dump --clean": (
        b"ALTER TABLE ONLY public.orders DROP CONSTRAINT orders_pkey;\n"
        b"ALTER TABLE public.orders ALTER COLUMN id DROP DEFAULT;\nDROP INDEX public.i;\n"
        b"DROP SEQUENCE public.s;\nDROP TABLE public.orders;\nDROP FUNCTION public.f(int);\n"
        b"DROP TYPE shop.kind;\nDROP SCHEMA shop;\nDROP EXTENSION plpgsql;\nDROP SCHEMA public;\n"
        b"CREATE SCHEMA public;\nCREATE TABLE public.orders (id int);",
        "SELECT count(*) FROM orders",
        [(0,)],
    ),
    "DROP SCHEMA public CASCADE": (
        b"DROP SCHEMA IF EXISTS public CASCADE;\nCREATE SCHEMA public;\n"
        b"SET search_path = public, pg_catalog;\nCREATE TABLE note (id integer);\n"
        b"COPY note FROM stdin;\n1\n2\n\\.\n",
        "SELECT count(*) FROM public.note",
        [(2,)],
    ),
    "DROP SCHEMA public, later": (
        b"CREATE TABLE t (a int);\nDROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n"
        b"CREATE TABLE public.t (b text);\nINSERT INTO t VALUES ('new');",
        "SELECT b FROM public.t",
        [("new",)],
    ),
    "a name in another encoding": (
        b"SET client_encoding = 'LATIN1';\nCREATE TABLE public.\"caf\xe9\" (\"\xe4\" text);\n"
        b"COPY public.\"caf\xe9\" (\"\xe4\") FROM stdin;\nd\xe9j\xe0\n\\.\n",
        'SELECT "ä" FROM "café"',
        [("déjà",)],
    ),
    "an encoding that psql is told": (
        b"\\set ON_ERROR_STOP on\n\\encoding WIN1251\nCREATE TABLE \"\xe4\xe0\" (a text);\n"
        b"COPY \"\xe4\xe0\" FROM stdin;\n\xed\xe5\xf2\n\\.\n",
        'SELECT a FROM "да"',
        [("нет",)],
    ),
    "carriage returns": (
        b"-- by hand\r\nCREATE TABLE t (\r\n  a text\r\n);\r\n"
        b"COPY t (a) FROM stdin;\r\nx\r\ny\r\n\\.\r\n"
        b"INSERT INTO t VALUES ('z');\r\n",
        "SELECT string_agg(a, '') FROM t",
        [("xyz",)],
    ),
    "statistics of 18": (
        b"CREATE TABLE public.t (id integer);\n"
        b"SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180006'::integer,"
        b" 'schemaname', 'public', 'relname', 't', 'relpages', '1'::integer);\n"
        b"SELECT * FROM pg_catalog.pg_restore_attribute_stats('version', '180006'::integer);",
        "SELECT count(*) FROM t",
        [(0,)],
    ),
    "settings of other versions": (
        b"SET statement_timeout = 0;\nSET transaction_timeout = 0;\nSET default_with_oids = true;\n"
        b"SELECT pg_catalog.set_config('no_such_setting', '', false);\n"
        b"SELECT pg_catalog.set_config('search_path', '', false);\n"
        b"SET default_table_access_method = columnar;\nCREATE TABLE public.t (a int);",
        "SELECT count(*) FROM t",
        [(0,)],
    ),
    "before 9.1": (
        b"SET standard_conforming_strings = off;\nSET escape_string_warning = off;\n"
        b"CREATE PROCEDURAL LANGUAGE plpgsql;\n"
        b"ALTER PROCEDURAL LANGUAGE plpgsql OWNER TO postgres;\n"
        b"CREATE SCHEMA shop AUTHORIZATION \"shop admin\";\nSET SESSION AUTHORIZATION 'postgres';\n"
        b"CREATE TABLE shop.t (a text);\nINSERT INTO shop.t VALUES ('it\\'s; \\\\ so');",
        "SELECT a FROM shop.t",
        [("it's; \\ so",)],
    ),
    "a transaction of its own": (
        b"BEGIN;\nSET no_such_setting = 1;\nDROP TABLE t;\nCREATE TABLE t (a int PRIMARY KEY, b int"
        b" REFERENCES t DEFERRABLE INITIALLY DEFERRED);\n"
        b"COPY t FROM stdin WITH (FREEZE);\n1\t2\n2\t1\n\\.\n"
        b"CREATE EXTENSION IF NOT EXISTS pg_stat_statements;\n"
        b"INSERT INTO t VALUES (3, 4), (4, 3);\n"
        b"COMMIT;\nCOPY t FROM stdin WITH FREEZE;\n5\t1\n\\.\n",
        "SELECT sum(a) FROM t",
        [(15,)],
    ),
    "a policy and a table of others": (
        b"CREATE TABLE t (a int);\nALTER TABLE t ENABLE ROW LEVEL SECURITY;\n"
        b"CREATE POLICY p ON t TO nobody_here USING (true);\nGRANT SELECT ON t TO nobody_here;\n"
        b"CREATE PUBLICATION p FOR ALL TABLES;\nALTER TABLE t DISABLE TRIGGER ALL;\n"
        b"CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();",
        "SELECT count(*) FROM t",
        [(0,)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_comes_in(target: PostgresServer, kind: str) -> None:
    body, query, wanted = SCRIPTS[kind]
    load(target, body + b"\n")
    assert target.execute(query) == wanted


def test_what_is_left_out_is_said(target: PostgresServer) -> None:
    log = Log()
    bodies = [SCRIPTS[kind][0].replace(b"FORCED", b"") for kind in SCRIPTS]
    load(
        target, b"\n".join((bodies[0], bodies[7], bodies[11].replace(b" t ", b" u "))) + b"\n", log
    )
    assert left_out(log) >= {
        "owners: all belongs to the addon's user",
        "privileges",
        "statistics of another server: they are collected anew",
    }
    assert any("for a role that is not there: CREATE POLICY" in each for each in left_out(log))
    assert any("needs a superuser: CREATE PUBLICATION" in each for each in left_out(log))


def test_objects_that_cannot_be_made_are_collected(target: PostgresServer) -> None:
    log = Log()
    loaded = load(
        target,
        b"CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n1\n\\.\n"
        b"CREATE VIEW v AS SELECT no_such_column FROM t;\nCREATE UNIQUE INDEX i ON t (a);\n"
        b"COMMENT ON TABLE nowhere IS 'x';\nCREATE INDEX good ON t (a);\n",
        log,
    )
    assert [item.name.split(" ")[1] for item in loaded.skipped] == ["VIEW", "UNIQUE", "ON"]
    assert "no_such_column" in loaded.skipped[0].reason
    assert all("\n" not in item.reason for item in loaded.skipped)
    assert target.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 't'") == [(1,)]


REFUSED = {
    b"COPY public.t (a) FROM stdin;\n1\n\\.\n": "not the tables .* --data-only",
    b"INSERT INTO t VALUES (1);\n": "not the tables .* --data-only",
    b"CREATE TABLE t (a int);\n\\copy t from 'x'\n": "command for psql.*take it out",
    b"CREATE TABLE t (a int);\n\\i other.sql\n": "command for psql",
    b"\\set schema x\nCREATE TABLE t (a int);\n": "command for psql",
    b"CREATE TABLE t (a int);\nCOPY t FROM '$$PATH$$/3.dat';\n": "import the tar archive itself",
    b"SET client_encoding = 'SJIS';\nCREATE TABLE t (a int);\n": "encoding SJIS .* --encoding=UTF8",
    b"PGDMP\x01\x20\x00\x04\x08\x01": "newer than every pg_restore here: holdfast tools install",
    b"SET statement_timeout = 0;\n": "no statement that makes anything",
    b"pg_dump: warning: x\n--\n-- PostgreSQL database dump\n--\n": "standard error",
    b"\xff\xfeC\0": "--file",
    b"7z\xbc\xaf\x27\x1c": "unpack it",
}


def test_what_cannot_be_taken_says_what_to_do(target: PostgresServer) -> None:
    for body, words in REFUSED.items():
        with pytest.raises(EvidenceMissing, match=words):
            taken_in(target.engine, body)


FEATURES = """
CREATE SCHEMA "odd "" schema";
CREATE TABLE parted (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT date '2024-12-01' + g, g FROM generate_series(1, 60) g;
CREATE TABLE "odd "" schema"."t; x" (a int GENERATED ALWAYS AS IDENTITY, b text);
INSERT INTO "odd "" schema"."t; x" (b) VALUES ('x'), (E'y\\\\.\\n\\\\.'), (NULL);
SELECT lo_from_bytea(0, 'large');
CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC; SELECT a + 1; END;
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM parted;
"""


@pytest.fixture
def source(debian_postgres: Database) -> str:
    name = debian_postgres.create()
    debian_postgres.run(FEATURES, name)
    return name


def dumped(server: Database, database: str, *options: str) -> bytes:
    argv = [server.bin_dir / "pg_dump", *options, server.url(database)]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def directory_of(server: Database, database: str, home: Path, name: str, *options: str) -> bytes:
    dumped(server, database, "--format=directory", f"--file={home}/{name}", *options)
    room = BytesIO()
    with tarfile.open(fileobj=room, mode="w") as tar:
        tar.add(home / name, name)
    return room.getvalue()


def require_features(server: PostgresServer) -> None:
    assert server.execute("SELECT count(*), sum(n) FROM parted") == [(60, 1830)]
    assert server.execute("SELECT count(*) FROM parted_1") == [(30,)]
    assert server.execute('SELECT b FROM "odd "" schema"."t; x" WHERE a = 2') == [("y\\.\n\\.",)]
    assert server.execute("SELECT lo_get(oid) FROM pg_largeobject_metadata") == [(b"large",)]
    assert server.execute("SELECT f(1), n FROM m") == [(2, 60)]


OPTIONS = [
    ("--clean", "--create"),
    ("--clean", "--if-exists", "--inserts"),
    ("--column-inserts", "--rows-per-insert=7", "--quote-all-identifiers", "--encoding=LATIN1"),
    ("--load-via-partition-root", "--use-set-session-authorization", "--disable-dollar-quoting"),
    ("--format=custom", "--load-via-partition-root"),
    ("--format=tar",),
    ("--format=directory",),
    ("--format=directory", "--compress=0"),
    ("--format=custom", "--section=pre-data", "--section=data", "--section=post-data"),
]


@pytest.mark.parametrize(
    "options", [OPTIONS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in OPTIONS[1:])]
)
def test_whatever_pg_dump_writes_comes_in(
    target: PostgresServer,
    debian_postgres: Database,
    source: str,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    if "--format=directory" in options:
        body = directory_of(debian_postgres, source, tmp_path, "d", *options)
        assert survey.recognise(body[: 64 << 10]).format == survey.DIRECTORY
    else:
        body = dumped(debian_postgres, source, *options)
    load(target, body)
    require_features(target)
    owners = target.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [(OWNER,)]


def changed(body: bytes, file: str, before: bytes, after: bytes) -> bytes:
    """A tar with other content in one of its files."""
    room = BytesIO()
    with tarfile.open(fileobj=BytesIO(body)) as old, tarfile.open(fileobj=room, mode="w") as new:
        for member in old:
            content = old.extractfile(member)
            data = b"" if content is None else content.read()
            if member.name.endswith(f"/{file}"):
                assert before in data
                data = data.replace(before, after)
                member.size = len(data)
            new.addfile(member, BytesIO(data) if content is not None else None)
    return room.getvalue()


def test_a_directory_reads_no_file_beside_it(
    target: PostgresServer, debian_postgres: Database, source: str, tmp_path: Path
) -> None:
    body = directory_of(debian_postgres, source, tmp_path, "d", "--compress=0")
    with tarfile.open(fileobj=BytesIO(body)) as tar:
        names = [m.name.rpartition("/")[2] for m in tar if m.name.endswith(".dat")]
    data = next(name for name in names if name[0].isdigit()).encode()
    wrong = {
        changed(body, "toc.dat", data, b"../../x."[-len(data) :].ljust(len(data), b"x")): "beside",
        changed(body, "toc.dat", b"PGDMP\x01", b"PGDMP\x09"): "--format=custom",
        changed(body, "blobs.toc", b" blob_", b" /blob_"): "names other files",
        body[: len(body) // 2]: "cut off|lacks|damaged",
    }
    for file, words in wrong.items():
        with pytest.raises(EvidenceMissing, match=words):
            taken_in(target.engine, file)


def test_a_whole_server_comes_in_database_by_database(
    target: PostgresServer, debian_postgres: Database, source: str
) -> None:
    odd = "odd 'name\" \\ x"
    debian_postgres.run('CREATE DATABASE "odd \'name"" \\ x" ENCODING LATIN1 LC_COLLATE "C"'
                        ' LC_CTYPE "C" TEMPLATE template0')  # fmt: skip
    debian_postgres.run("CREATE TABLE here (a int); INSERT INTO here VALUES (7)", quote(odd))
    debian_postgres.run("CREATE ROLE passer_by LOGIN PASSWORD 'x'")
    try:
        argv = [debian_postgres.bin_dir / "pg_dumpall", f"--dbname={debian_postgres.url()}"]
        env = {"PGPASSWORD": debian_postgres.password}
        done = subprocess.run([*argv, "--clean"], check=True, capture_output=True, env=env)
    finally:
        debian_postgres.run("DROP ROLE passer_by")
        debian_postgres.run('DROP DATABASE "odd \'name"" \\ x"')
    target.execute("CREATE TABLE old (a int)")
    log = Log(keep_others=True)
    load(target, done.stdout, log)
    assert target.execute("SELECT a FROM here", odd) == [(7,)]
    assert target.execute("SELECT count(*), sum(n) FROM parted", source) == [(60, 1830)]
    assert target.execute("SELECT count(*) FROM old") == [(0,)]
    assert target.execute("SELECT FROM pg_roles WHERE rolname = 'passer_by'") == []
    assert "roles: all belongs to the addon's user" in left_out(log)
