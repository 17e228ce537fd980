"""The owner of a managed server is not its superuser: what reaches the machine is refused."""

from collections.abc import Callable

import psycopg
import pytest

from fixtures.managed import OWNER, OwnersServer
from fixtures.postgres import Log, ServerFactory, restore, take

REACHES = (
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/holdfast-out'",
    "CREATE TEMP TABLE read (line text); COPY read FROM PROGRAM 'id'",
    "CREATE TEMP TABLE read (line text); COPY read FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('PG_VERSION')",
    "SELECT pg_stat_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(0, '/tmp/holdfast-out')",
    "CREATE FUNCTION system(cstring) RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6'",
    "CREATE FUNCTION inside(int) RETURNS int LANGUAGE internal AS 'int4abs'",
    "LOAD '/tmp/anything.so'",
    "CREATE EXTENSION plpython3u",
    "CREATE EXTENSION adminpack",
    "CREATE EXTENSION file_fdw",
    "SELECT holdfast_create_extension('file_fdw')",
    "ALTER SYSTEM SET archive_command = 'true'",
    "SET session_preload_libraries = '/tmp/anything'",
    f"ALTER ROLE {OWNER} SET session_preload_libraries = '/tmp/anything'",
    "ALTER DATABASE defaultdb SET dynamic_library_path = '/tmp'",
    "GRANT pg_execute_server_program TO CURRENT_USER",
    "GRANT pg_read_server_files TO CURRENT_USER",
    "GRANT pg_write_server_files TO CURRENT_USER",
    "GRANT holdfast_internal TO CURRENT_USER",
    "SET ROLE holdfast_internal",
    "SET SESSION AUTHORIZATION holdfast_internal",
    "ALTER ROLE holdfast_internal PASSWORD 'mine'",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "CREATE ROLE another SUPERUSER",
    "DROP ROLE holdfast_internal",
    "CREATE TABLESPACE elsewhere LOCATION '/tmp'",
    "CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION now()",
    "UPDATE pg_catalog.pg_authid SET rolsuper = true",
    "UPDATE pg_catalog.pg_language SET lanpltrusted = true",
    "CREATE OR REPLACE FUNCTION pg_catalog.pg_get_userbyid(oid) RETURNS name LANGUAGE sql"
    " AS $$ SELECT 'x'::name $$",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO CURRENT_USER",
)


@pytest.mark.parametrize("major", [15, pytest.param(14, marks=pytest.mark.slow), 18])
def test_what_reaches_the_machine_is_refused(
    managed_postgres: Callable[[int], OwnersServer], major: int
) -> None:
    server = managed_postgres(major)
    owner = server.as_owner()
    for statement in REACHES:
        with pytest.raises(psycopg.Error) as refused, owner.connect() as session:
            session.execute(statement.encode())
        assert isinstance(
            refused.value,
            psycopg.errors.InsufficientPrivilege
            | psycopg.errors.FeatureNotSupported
            | psycopg.errors.UndefinedFile
            | psycopg.errors.InvalidFunctionDefinition
            | psycopg.errors.ReservedName
            | psycopg.errors.DependentObjectsStillExist
            | psycopg.errors.CantChangeRuntimeParam,
        ), (statement, refused.value)
    assert server.execute("SELECT rolname::text FROM pg_roles WHERE rolsuper AND rolcanlogin") == [
        ("holdfast_internal",)
    ]


FILL = """
CREATE TABLE witness (who text, super bool);
CREATE FUNCTION tell() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN
  INSERT INTO public.witness SELECT session_user, rolsuper FROM pg_roles
    WHERE rolname = session_user;
  RETURN 1; END $$;
CREATE FUNCTION pure(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
    RAISE 'run as the superuser %', session_user;
  END IF;
  RETURN x; END $$;
CREATE DOMAIN checked AS int CHECK (public.pure(VALUE) = VALUE);
CREATE TABLE t (
  x int CHECK (public.pure(x) = x),
  d checked DEFAULT 7,
  g int GENERATED ALWAYS AS (public.pure(x)) STORED,
  l checked[] DEFAULT '{1,2}'::checked[]
);
INSERT INTO t (x) SELECT generate_series(1, 100);
CREATE INDEX folded ON t ((x + public.pure(1)));
CREATE INDEX partial ON t (x) WHERE x > public.pure(5);
CREATE TABLE parts (x int) PARTITION BY RANGE ((x + public.pure(1)));
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (1000);
INSERT INTO parts SELECT generate_series(1, 50);
CREATE MATERIALIZED VIEW seen AS SELECT public.pure(x) AS x FROM t;
CREATE ROLE app LOGIN; GRANT app TO CURRENT_USER;
CREATE SCHEMA theirs AUTHORIZATION app;
CREATE TABLE theirs.own (x int, secret int);
ALTER TABLE theirs.own OWNER TO app;
CREATE TABLE apps (x int);
GRANT CREATE ON SCHEMA public TO app;
ALTER TABLE apps OWNER TO app;
GRANT SELECT ON t TO app;
GRANT SELECT (x) ON parts TO PUBLIC;
SET ROLE app; GRANT INSERT ON apps TO PUBLIC; RESET ROLE;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA theirs GRANT SELECT ON TABLES TO PUBLIC;
ALTER TABLE apps ENABLE ROW LEVEL SECURITY;
ALTER TABLE apps FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON apps USING (x > 10);
CREATE EXTENSION pg_trgm;
CREATE PUBLICATION told FOR TABLE t;
SELECT lo_from_bytea(4242, 'large');
COMMENT ON TABLE t IS 'a comment';
"""
OWNERS = """
SELECT 'relation', c.oid::regclass::text, pg_get_userbyid(relowner)::text, relacl::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE nspname IN ('public', 'theirs')
UNION ALL SELECT 'function', p.oid::regprocedure::text, pg_get_userbyid(proowner), proacl::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname IN ('public', 'theirs')
UNION ALL SELECT 'schema', nspname, pg_get_userbyid(nspowner), nspacl::text FROM pg_namespace
 WHERE nspname IN ('public', 'theirs')
UNION ALL SELECT 'extension', extname, pg_get_userbyid(extowner), '' FROM pg_extension
UNION ALL SELECT 'database', datname, pg_get_userbyid(datdba), datacl::text FROM pg_database
UNION ALL SELECT 'publication', pubname, pg_get_userbyid(pubowner), '' FROM pg_publication
UNION ALL SELECT 'large object', oid::text, pg_get_userbyid(lomowner), ''
  FROM pg_largeobject_metadata
UNION ALL SELECT 'default', defaclobjtype::text, pg_get_userbyid(defaclrole), defaclacl::text
  FROM pg_default_acl
UNION ALL SELECT 'role', rolname, rolsuper::text, rolcanlogin::text FROM pg_roles
 WHERE rolname NOT LIKE 'pg\\_%'
 ORDER BY 1, 2
"""


@pytest.mark.parametrize("major", [15, pytest.param(14, marks=pytest.mark.slow), 18])
def test_what_the_owner_dumped_comes_back_without_a_superuser_running_it(
    managed_postgres: Callable[[int], OwnersServer], major: int
) -> None:
    """To plan a query is enough to run what is behind an index, so counting counts, too."""
    server = managed_postgres(major)
    owner = server.as_owner()
    owner.execute(FILL)
    before = server.execute(OWNERS)
    taken = take(server.engine, server.address)
    owner.execute("DROP TABLE theirs.own; TRUNCATE t")
    log = Log()
    restore(server.engine, server.address, taken, log)
    assert server.execute(OWNERS) == before, log.lines
    assert owner.execute("SELECT count(*), sum(g) FROM t") == [(100, 5050)]
    assert owner.execute("SELECT count(*) FROM seen") == [(100,)]
    owner.execute("CREATE TABLE more (x int); DROP TABLE more; DROP EXTENSION pg_trgm")
    owner.execute("CREATE DATABASE more")
    owner.execute("SELECT holdfast_create_extension('pgstattuple')", "more")
    owner.execute("DROP DATABASE more")


def test_a_dump_of_it_goes_into_a_server_of_ones_own(
    managed_postgres: Callable[[int], OwnersServer], blank_server: ServerFactory
) -> None:
    """Without the role that counts, and without a superuser."""
    server, own = managed_postgres(15), blank_server(15)
    owner = server.as_owner()
    owner.execute("DROP SCHEMA public CASCADE")  # other tests' functions refuse to be a superuser's
    owner.execute("CREATE SCHEMA public")
    owner.execute("CREATE TABLE moved AS SELECT 1 AS x")
    taken = take(server.engine, server.address)
    log = Log(keep_others=True)
    restore(own.engine, own.address, taken, log)
    assert own.execute("SELECT x FROM moved", "defaultdb") == [(1,)]
    roles = own.execute("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'holdfast%'")
    assert sorted(roles) == [("holdfast",), ("holdfast_internal",)]
    strong = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'holdfast%' AND rolsuper"
    assert own.execute(strong) == [(0,)]
    own.wipe()
