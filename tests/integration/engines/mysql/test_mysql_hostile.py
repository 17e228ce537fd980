"""A dump that means harm: what it tries is refused, and nothing outside of it changes."""

from pathlib import Path

import pytest

from fixtures.mysql import MySQLServer, Taken, leftovers, restore, take
from fixtures.mysql_data import fingerprint
from fixtures.postgres import Log, a_guard
from holdfast.domain.errors import EvidenceMissing, Failure, RestoreDiffers

INSERTED = b"-- Dump completed"


@pytest.fixture
def taken(mariadb: MySQLServer) -> Taken:
    mariadb.execute(
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id int PRIMARY KEY, v text)",
        "INSERT INTO shop.t VALUES (1, 'x')",
    )
    return take(mariadb.engine, mariadb.address)


def with_statement(taken: Taken, statement: str) -> Taken:
    """The dump with one more statement at its end, in database shop."""
    body = taken.plain["databases.sql"]
    evil = f"USE `shop`;\n{statement};\n".encode()
    return Taken(
        taken.dump,
        {**taken.plain, "databases.sql": body.replace(INSERTED, evil + INSERTED)},
        taken.member_facts,
        taken.said,
    )


REFUSED = [
    "\\! touch /tmp/holdfast-was-here",
    "system touch /tmp/holdfast-was-here",
    "source /etc/passwd",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE `t`",
    "SELECT 'x' INTO OUTFILE '/tmp/holdfast-was-here'",
    "DROP DATABASE victim",
    "GRANT ALL ON *.* TO evil",
    "CREATE USER evil",
    "SET GLOBAL general_log = 1",
    "SET PASSWORD = 'x'",
    "INSERT INTO victim.t VALUES (2)",
    "INSERT INTO `t` SELECT 2, user FROM mysql.user",
    "CREATE TABLE victim.u (a int)",
    "CREATE PROCEDURE victim.p() SELECT 1",
    "/*!50003 DROP DATABASE */ victim",
    "CALL mysql.p()",
    "DO SLEEP(1000)",
    "USE victim",
    "DELIMITER ;;\nDROP DATABASE victim;;\nDELIMITER ;\nSET @a = 1",
]


@pytest.mark.parametrize(
    "statement",
    [pytest.param(s, marks=() if n % 7 == 0 else pytest.mark.slow) for n, s in enumerate(REFUSED)],
)
def test_statements_that_no_dump_holds_are_refused(
    other_mariadb: MySQLServer, taken: Taken, statement: str
) -> None:
    check_harmless(other_mariadb, with_statement(taken, statement), EvidenceMissing)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO `t` VALUES (2, (SELECT count(*) FROM victim.t))",
        "CREATE TABLE `u` AS SELECT * FROM mysql.user",
        "INSERT INTO `t` VALUES (2, 'it ends;\n'); DROP DATABASE victim",
    ],
)
def test_what_looks_like_a_dump_reaches_nothing_else(
    other_mariadb: MySQLServer, taken: Taken, statement: str
) -> None:
    check_harmless(other_mariadb, with_statement(taken, statement), RestoreDiffers)


def check_harmless(target: MySQLServer, evil: Taken, expected: type[Failure]) -> None:
    target.execute(
        "CREATE DATABASE victim", "CREATE TABLE victim.t (a int)", "INSERT INTO victim.t VALUES (1)"
    )
    before = fingerprint(target)
    attempt = Log().attempt("evil")
    with pytest.raises((expected, RestoreDiffers)):
        target.engine.stage(target.address, evil.dump, evil.fetch, attempt, a_guard())
    target.engine.discard(target.address, attempt)
    assert fingerprint(target) == before
    assert not leftovers(target)
    assert not Path("/tmp/holdfast-was-here").exists()


def test_files_of_the_server_cannot_be_read(other_mariadb: MySQLServer, taken: Taken) -> None:
    """Without the FILE privilege, load_file finds nothing; the count then is that of the dump."""
    evil = with_statement(taken, "INSERT INTO `t` VALUES (2, load_file('/etc/passwd'))")
    attempt = Log().attempt("evil")
    engine = other_mariadb.engine
    loaded = engine.stage(other_mariadb.address, evil.dump, evil.fetch, attempt, a_guard())
    staged = other_mariadb.execute(
        "SELECT table_schema FROM information_schema.tables WHERE table_name = 't'"
        " AND table_schema LIKE 'holdfast%'"
    )[0][0]
    assert other_mariadb.execute(f"SELECT v FROM {staged}.t WHERE id = 2") == [(None,)]
    assert loaded != taken.dump.inventory
    engine.discard(other_mariadb.address, attempt)


def test_tables_go_nowhere_but_into_the_data_directory(
    other_mariadb: MySQLServer, taken: Taken
) -> None:
    evil = with_statement(taken, "CREATE TABLE `u` (a int) DATA DIRECTORY = '/var/tmp'")
    attempt = Log().attempt("evil")
    engine = other_mariadb.engine
    engine.stage(other_mariadb.address, evil.dump, evil.fetch, attempt, a_guard())
    sly = with_statement(taken, "CREATE TABLE `u` (a int) DATA/**/DIRECTORY='/var/tmp'")
    with pytest.raises(EvidenceMissing, match="a directory of its own"):
        engine.stage(other_mariadb.address, sly.dump, sly.fetch, attempt, a_guard())
    assert not list(Path("/var/tmp").glob("holdfast_stage*"))
    engine.discard(other_mariadb.address, attempt)


@pytest.mark.parametrize(
    "line",
    [
        "DROP DATABASE victim;",
        "GRANT ALL ON *.* TO `a`@`%`; DROP DATABASE victim;",
        "SET GLOBAL general_log = 1;",
        "CREATE DATABASE x;",
    ],
)
def test_accounts_hold_nothing_but_accounts(
    other_mariadb: MySQLServer, taken: Taken, line: str
) -> None:
    other_mariadb.execute("CREATE DATABASE victim")
    taken.plain["accounts.sql"] = taken.plain["accounts.sql"].replace(
        b"-- Accounts completed", line.encode() + b"\n-- Accounts completed"
    )
    with pytest.raises(EvidenceMissing):
        restore(other_mariadb.engine, other_mariadb.address, taken, Log())
    databases = [row[0] for row in other_mariadb.execute("SHOW DATABASES")]
    assert "victim" in databases
    assert "x" not in databases
