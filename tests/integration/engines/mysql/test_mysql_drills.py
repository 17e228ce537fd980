"""A server judged by itself and by its owner's assertions."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.managed import managed_place
from fixtures.mysql import MySQLServer, StartMySQL
from fixtures.mysql_data import fill
from fixtures.postgres import a_guard
from holdfast.contracts.drills import Assertable, Assertion, SelfChecking
from holdfast.contracts.engine import Address
from holdfast.domain.errors import Interrupted
from holdfast.domain.evidence import Check
from holdfast.engines.mysql.driver import MySQL

FUNCTIONS = (
    "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(99))",
    "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    "CREATE TABLE log (a INT)",
    "CREATE VIEW names AS SELECT name FROM t",
    "CREATE FUNCTION good() RETURNS INT READS SQL DATA RETURN (SELECT count(*) FROM t)",
    "CREATE FUNCTION writes() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO log VALUES (1);"
    " RETURN 1; END",
    "CREATE FUNCTION opens() RETURNS INT MODIFIES SQL DATA BEGIN"
    " SET SESSION TRANSACTION READ WRITE; INSERT INTO log VALUES (2); RETURN 1; END",
    "CREATE PROCEDURE proc() BEGIN COMMIT; SET SESSION TRANSACTION READ WRITE;"
    " INSERT INTO log VALUES (3); SELECT 1; END",
    "CREATE FUNCTION calls() RETURNS INT MODIFIES SQL DATA BEGIN CALL proc(); RETURN 1; END",
    "CREATE FUNCTION endless() RETURNS INT BEGIN WHILE true DO SET @x = 1; END WHILE;"
    " RETURN 1; END",
    "CREATE FUNCTION stubborn() RETURNS INT BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION"
    " SET @x = 2; WHILE true DO SET @y = SLEEP(1); END WHILE; RETURN 1; END",
)


@pytest.fixture(scope="module")
def managed_mysql(mysql_engine: MySQL, mysql_root: Path) -> Iterator[MySQLServer]:
    """As Holdfast runs it, with content that its owner made."""
    home = mysql_root / f"installation-{time.monotonic_ns()}" / "managed"
    home.mkdir(mode=0o711, parents=True)
    place = managed_place(home / "data", mysql_engine.versions()[0], 65_100)
    server = MySQLServer(mysql_engine, place, home / "log")
    mysql_engine.initialise(place)
    server.start()
    owner = MySQLServer(mysql_engine, replace(place, admin=None), server.log)
    for statement in FUNCTIONS:
        owner.execute(statement, database=place.database)
    yield server
    mysql_engine.stop(place)


Ask = Callable[..., Check]


@pytest.fixture
def ask(managed_mysql: MySQLServer) -> Iterator[Ask]:
    server = managed_mysql
    address: Address = replace(server.address, database=server.place.database)
    assert address.owner == server.place.user

    def assert_true(text: str, seconds: float = 30, database: str | None = None) -> Check:
        assertion = Assertion("mine", text, seconds, database)
        return server.engine.assert_true(address, assertion, a_guard())

    yield assert_true
    assert server.execute(f"SELECT count(*) FROM {server.place.database}.log") == [(0,)]
    assert server.execute("SELECT count(*) FROM mysql.user WHERE user LIKE '%asker%'") == [(0,)]


@pytest.mark.parametrize(
    ("text", "passed", "found"),
    [
        ("SELECT count(*) = 2 FROM t", True, "the answer is 1"),
        ("SELECT count(*) FROM t WHERE name LIKE '%o%';", True, "the answer is 2"),
        ("# how many\n(SELECT good())", True, "the answer is 2"),
        ("WITH n AS (SELECT name FROM names) SELECT min(name) FROM n", True, "the answer is one"),
        ("SELECT * FROM t ORDER BY id DESC", True, "the answer is 2"),
        ("SELECT 0.0", False, "the answer is 0.0"),
        ("SELECT 'false'", False, "the answer is false"),
        ("SELECT ''", False, "an empty text"),
        ("SELECT NULL", False, "NULL"),
        ("SELECT name FROM t WHERE id > 5", False, "no row"),
        ("SELECT 1 INTO @x", False, "no row"),
        ("INSERT INTO t VALUES (3, 'x')", False, "it writes"),
        ("CREATE TEMPORARY TABLE x (a INT)", False, "it writes"),
        ("SELECT writes()", False, "it writes"),
        ("SELECT opens()", False, "it writes"),
        ("SELECT calls()", False, "it writes"),
        ("CALL proc()", False, "it begins with CALL"),
        ("BEGIN NOT ATOMIC COMMIT; SELECT writes(); END", False, "several things"),
        ("/*!999999 SELECT 1 */ BEGIN NOT ATOMIC SELECT writes() END", False, "it begins with"),
        ("SET STATEMENT max_statement_time=0 FOR SELECT 1", False, "it begins with SET"),
        ("SELECT * FROM t INTO OUTFILE '/tmp/holdfast-out'", False, "it reaches beyond"),
        ("SELECT LOAD_FILE('/etc/passwd')", False, "it reaches beyond"),
        ("LOAD DATA INFILE '/etc/passwd' INTO TABLE t", False, "it writes"),
        ("SELECT * FROM mysql.user", False, "it reaches beyond"),
        ("SELECT mysql.holdfast_create_user('a', 'b')", False, "it reaches beyond"),
        ("SELECT @@global.datadir IS NULL", False, "the answer is 0"),
        ("KILL 1", False, "it begins with KILL"),
        ("SELECT 1; SELECT 2", False, "several things"),
        ("SELECT 1; DROP TABLE t", False, "several things"),
        ("SELEC 1", False, "it begins with SELEC"),
        ("SELECT FROM WHERE", False, "no valid statement: You have an error in your SQL syntax"),
        ("SELECT nothing FROM t", False, "no valid statement: Unknown column"),
        ("SELECT 'open", False, "no valid statement"),
        ("", False, "it begins with"),
        ("SELECT \ud800", False, "no valid statement"),
    ],
)
def test_an_assertion_is_answered_or_stopped(
    managed_mysql: MySQLServer, ask: Ask, text: str, passed: bool, found: str
) -> None:
    assert isinstance(managed_mysql.engine, Assertable)
    check = ask(text)
    assert (check.name, check.passed) == ("assertion mine", passed), check.found
    assert found in check.found


@pytest.mark.parametrize(
    "text",
    [
        "SELECT SLEEP(1000) = 0",
        "SELECT BENCHMARK(1000000000000, MD5('x')) = 0",
        "SELECT endless()",
        "SELECT stubborn()",
        "SELECT count(*) FROM seq_1_to_99999 a, seq_1_to_99999 b, seq_1_to_99999 c",
    ],
)
def test_a_loop_is_ended(ask: Ask, text: str) -> None:
    began = time.monotonic()
    check = ask(text, 0.5)
    assert not check.passed
    assert "longer than 0.5 seconds" in check.found
    assert time.monotonic() - began < 60


def test_only_the_first_row_is_fetched(ask: Ask) -> None:
    check = ask("SELECT a.seq FROM seq_1_to_100000 a, seq_1_to_100000 b", 30)
    assert check.found == "the answer is 1"


def test_an_abort_ends_it(managed_mysql: MySQLServer) -> None:
    guard = a_guard()
    guard.stop(Interrupted("told to"))
    with pytest.raises(Interrupted, match="told to"):
        managed_mysql.engine.assert_true(
            managed_mysql.address, Assertion("mine", "SELECT SLEEP(100)", 100), guard
        )


@pytest.mark.slow
def test_mysql_answers_alike(start_mysql: StartMySQL, unstable_mysql: MySQL) -> None:
    server = start_mysql("drills", unstable_mysql)
    server.wipe()
    for statement in FUNCTIONS:
        server.execute(statement, database="main")

    def ask(text: str, seconds: float = 30) -> str:
        assertion = Assertion("mine", text, seconds, "main")
        return unstable_mysql.assert_true(server.address, assertion, a_guard()).found

    assert ask("SELECT good()") == "the answer is 2"
    assert "it writes" in ask("SELECT writes()")
    assert "it writes" in ask("WITH a AS (SELECT 1 AS id) DELETE FROM t WHERE id IN (TABLE a)")
    assert "longer than 0.5" in ask("SELECT SLEEP(1000) = 0", 0.5)
    assert "longer than 0.5" in ask("SELECT /*+ MAX_EXECUTION_TIME(0) */ SLEEP(1000) = 0", 0.5)
    assert "longer than 0.5" in ask("SELECT stubborn()", 0.5)
    assert "it reaches beyond" in ask("SELECT LOAD_FILE('/etc/passwd')")
    assert server.execute("SELECT count(*) FROM main.log") == [(0,)]
    checks = unstable_mysql.check_data(server.address, a_guard())
    assert all(check.passed for check in checks), checks


def test_it_checks_its_data(mariadb: MySQLServer) -> None:
    assert isinstance(mariadb.engine, SelfChecking)
    fill(mariadb)
    mariadb.execute(
        "CREATE TABLE main.fast (a INT) ENGINE=MEMORY",
        "CREATE TABLE main.old (a INT, KEY (a)) ENGINE=MyISAM",
        "INSERT INTO main.old SELECT seq FROM main.seq_1_to_10000",
        "FLUSH TABLES",
    )
    checks = {check.name: check for check in mariadb.engine.check_data(mariadb.address, a_guard())}
    assert all(check.passed for check in checks.values()), checks
    main = checks["CHECK TABLE of main"]
    assert "engine MEMORY cannot check: fast" in main.found
    (data,) = mariadb.place.directory.rglob("old.MYD")
    content = bytearray(data.read_bytes())
    content[700:1400] = b"\x07" * 700
    data.write_bytes(content)
    mariadb.execute("FLUSH TABLES")
    checks = {check.name: check for check in mariadb.engine.check_data(mariadb.address, a_guard())}
    main = checks.pop("CHECK TABLE of main")
    assert not main.passed
    assert "table old" in main.found
    assert all(check.passed for check in checks.values())
    mariadb.execute("DROP TABLE main.old")
