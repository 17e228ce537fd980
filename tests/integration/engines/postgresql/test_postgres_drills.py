"""A server judged by itself and by its owner's assertions."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.managed import OwnersServer
from fixtures.postgres import ServerFactory, a_guard
from fixtures.rich_data import fill
from holdfast.contracts.drills import Assertable, Assertion, SelfChecking
from holdfast.domain.errors import AddonRefused, Interrupted
from holdfast.domain.evidence import Check
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.physical import amcheck

OWN_CODE = """
CREATE TABLE t (id int PRIMARY KEY, name text);
INSERT INTO t VALUES (1, 'one'), (2, 'two');
CREATE TABLE log (a text);
CREATE SEQUENCE numbers;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
CREATE SCHEMA own;
CREATE TABLE own.elsewhere AS SELECT 7 AS a;
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN INSERT INTO log VALUES (current_user); RETURN 1; END $$;
CREATE FUNCTION opens() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN PERFORM set_config('transaction_read_only', 'off', false);
     INSERT INTO log VALUES ('opens'); RETURN 1; END $$;
CREATE FUNCTION becomes(r text) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'RESET SESSION AUTHORIZATION';
     EXECUTE format('SET ROLE %I', r); RETURN 1; END $$;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS
  $$ BEGIN COMMIT; SET TRANSACTION READ WRITE; INSERT INTO log VALUES ('commits'); END $$;
CREATE FUNCTION endless(n int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN RETURN endless(n + 1); END $$;
CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled THEN NULL; END;
     END LOOP; END $$;
"""


@pytest.fixture(scope="module", params=[14, 17])
def owners(
    request: pytest.FixtureRequest, managed_postgres: Callable[[int], OwnersServer]
) -> OwnersServer:
    server = managed_postgres(request.param)
    owner = server.as_owner()
    owner.execute(OWN_CODE)
    owner.execute(f"ALTER DATABASE {server.place.database} SET search_path = public, own")
    owner.execute("CREATE DATABASE other")
    owner.execute("REVOKE CONNECT ON DATABASE other FROM PUBLIC")
    owner.execute("CREATE TABLE here AS SELECT 'over here' AS text", "other")
    return server


Ask = Callable[..., Check]


@pytest.fixture
def ask(owners: OwnersServer) -> Iterator[Ask]:
    address = replace(owners.address, database=owners.place.database)
    assert address.owner == owners.place.user

    def assert_true(text: str, seconds: float = 30, database: str | None = None) -> Check:
        assertion = Assertion("mine", text, seconds, database)
        return owners.engine.assert_true(address, assertion, a_guard())

    yield assert_true
    place = owners.place.database
    assert owners.execute("SELECT count(*) FROM log", place) == [(0,)]
    assert owners.execute("SELECT is_called FROM numbers", place) == [(False,)]
    roles = owners.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE '%asker%'")
    assert roles == []


@pytest.mark.parametrize(
    ("text", "passed", "found"),
    [
        ("SELECT count(*) = 2 FROM t", True, "the answer is True"),
        ("SELECT count(*) FROM t WHERE name LIKE '%o%';", True, "the answer is 2"),
        ("SELECT a FROM elsewhere", True, "the answer is 7"),
        ("VALUES ('yes')", True, "the answer is yes"),
        ("TABLE t", True, "the answer is 1"),
        ("SELECT false", False, "the answer is False"),
        ("SELECT 0.00", False, "the answer is 0.00"),
        ("SELECT 'f'::text", False, "the answer is f"),
        ("SELECT NULL", False, "NULL"),
        ("SELECT name FROM t WHERE id > 5", False, "no row"),
        ("SELECT", False, "no value"),
        ("INSERT INTO t VALUES (3, 'x') RETURNING 1", False, "it writes"),
        ("WITH a AS (DELETE FROM t RETURNING 1) SELECT 1", False, "it writes"),
        ("SELECT 1 AS a INTO made", False, "it writes"),
        ("CREATE TEMP TABLE made (a int)", False, "it writes"),
        ("SELECT nextval('numbers')", False, "it writes"),
        ("SELECT writes()", False, "it writes"),
        ("SELECT opens()", False, "transaction read-write mode must be set before any query"),
        ("CALL commits()", False, "invalid transaction termination"),
        ("DO $$ BEGIN COMMIT; END $$", False, "invalid transaction termination"),
        ("COMMIT", False, "no answer"),
        ("SELECT becomes('holdfast_internal')", False, "it reaches beyond"),
        ("SELECT becomes('holdfast')", False, "it reaches beyond"),
        ("SET ROLE holdfast", False, "it reaches beyond"),
        ("SELECT pg_read_file('/etc/passwd')", False, "it reaches beyond"),
        ("SELECT pg_ls_dir('/')", False, "it reaches beyond"),
        ("SELECT lo_import('/etc/passwd')", False, "it reaches beyond"),
        ("COPY (SELECT 1) TO PROGRAM 'id'", False, "it reaches beyond"),
        ("COPY (SELECT 1) TO '/tmp/holdfast-out'", False, "it reaches beyond"),
        ("COPY (SELECT 1) TO STDOUT", False, "it fails"),
        ("SELECT rolpassword FROM pg_authid", False, "it reaches beyond"),
        ("SELECT pg_reload_conf()", False, "it reaches beyond"),
        ("ALTER SYSTEM SET work_mem = '1GB'", False, "it"),
        ("SELECT 1; SELECT 2", False, "several things"),
        ("SELECT 1; DROP TABLE t", False, "several things"),
        ("SELEC 1", False, "no valid statement: syntax error"),
        ("SELECT nothing FROM t", False, "no valid statement: column"),
        ("SELECT absent()", False, "no valid statement: function absent() does not exist"),
        ("SELECT 1 / 0", False, "it fails: division by zero"),
        ("SELECT endless(1)", False, "it fails: stack depth limit exceeded"),
        ("", False, "no answer"),
        ("SELECT \ud800", False, "no valid statement"),
    ],
)
def test_an_assertion_is_answered_or_stopped(
    owners: OwnersServer, ask: Ask, text: str, passed: bool, found: str
) -> None:
    assert isinstance(owners.engine, Assertable)
    check = ask(text)
    assert (check.name, check.passed) == ("assertion mine", passed), check.found
    assert found in check.found


@pytest.mark.parametrize(
    "text",
    [
        "SELECT pg_sleep(1000)",
        "SELECT stubborn()",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n",
    ],
)
def test_a_loop_is_ended(ask: Ask, text: str) -> None:
    began = time.monotonic()
    check = ask(text, 0.5)
    assert not check.passed
    assert "longer than 0.5 seconds" in check.found
    assert time.monotonic() - began < 60


def test_only_the_first_row_is_fetched(ask: Ask) -> None:
    assert (
        ask("SELECT a FROM generate_series(1, 99999) a, generate_series(1, 99999) b").found
        == "the answer is 1"
    )


def test_another_database_is_asked(ask: Ask) -> None:
    assert ask("SELECT text FROM here", database="other").found == "the answer is over here"
    with pytest.raises(AddonRefused, match="no database"):
        ask("SELECT 1", database="missing")


def test_an_abort_ends_it(owners: OwnersServer) -> None:
    guard = a_guard()
    guard.stop(Interrupted("told to"))
    with pytest.raises(Interrupted, match="told to"):
        owners.engine.assert_true(
            owners.address, Assertion("mine", "SELECT pg_sleep(100)", 100), guard
        )


def test_it_checks_its_data(owners: OwnersServer) -> None:
    assert isinstance(owners.engine, SelfChecking)
    owner = owners.as_owner()
    owner.execute(
        "CREATE TABLE ran (who text);"
        "CREATE FUNCTION spies(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN IF current_user = 'holdfast_internal' THEN RAISE 'as administrator'; END IF;"
        " RETURN n; END $$;"
        "CREATE FUNCTION needs_path(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM 1 FROM t; RETURN n; END $$;"
        "CREATE TABLE many AS SELECT g AS id FROM generate_series(1, 5000) g;"
        "CREATE INDEX plain_index ON many (id);"
        "CREATE INDEX spying ON many (spies(id));"
    )
    if owners.place.version == "14":  # later majors keep the path of who makes the index from it
        owner.execute("CREATE INDEX pathless ON many (needs_path(id)) WHERE id > 100")
    checks = {check.name: check for check in owners.engine.check_data(owners.address, a_guard())}
    assert all(check.passed for check in checks.values()), checks
    own = checks[f"amcheck of {owners.place.database}"]
    assert "indexes checked" in own.found
    assert "spying" not in own.found, "its function ran as the owner"
    assert ("rows could not be looked up in " in own.found) == (owners.place.version == "14")
    extension = "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'"
    assert owners.execute(extension, owners.place.database) == [(0,)]


def test_an_extension_and_functions_of_its_name_are_left_alone(owners: OwnersServer) -> None:
    place = owners.place.database
    owners.execute("CREATE EXTENSION amcheck SCHEMA public", place)
    decoy = "RETURNS TABLE (msg text) LANGUAGE plpgsql AS $$ BEGIN RAISE 'the decoy ran'; END $$"
    owners.as_owner().execute(f"CREATE FUNCTION public.verify_heapam(a regclass) {decoy}")
    try:
        checks = owners.engine.check_data(owners.address, a_guard())
        assert all(check.passed for check in checks), checks
        with connect(owners.address, place) as session:
            assert amcheck.verify(session, a_guard()).keys() == {"tables", "indexes"}
        extension = "SELECT extnamespace::regnamespace::text FROM pg_extension"
        assert ("public",) in owners.execute(f"{extension} WHERE extname = 'amcheck'", place)
    finally:
        owners.execute("DROP EXTENSION amcheck; DROP FUNCTION public.verify_heapam", place)


def test_damage_is_found(blank_server: ServerFactory) -> None:
    server = blank_server(16)
    fill(server)
    server.execute(
        "CREATE TABLE broken AS SELECT g AS id, 'x' || g AS name FROM generate_series(1, 3000) g;"
        "CREATE INDEX broken_id ON broken (id)"
    )
    (path,) = server.execute("SELECT pg_relation_filepath('broken')")[0]
    before = server.engine.check_data(server.address, a_guard())
    assert before
    assert all(check.passed for check in before)
    server.engine.stop(server.place)
    file = Path(server.place.directory) / str(path)
    content = bytearray(file.read_bytes())
    content[8192 + 4000 : 8192 + 4100] = b"\xff" * 100
    file.write_bytes(content)
    server.start()
    checks = {check.name: check for check in server.engine.check_data(server.address, a_guard())}
    server.execute("DROP TABLE broken")
    check = checks.pop("amcheck of main")
    assert not check.passed
    assert "damaged: table public.broken" in check.found
    assert all(check.passed for check in checks.values())
