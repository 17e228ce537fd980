"""Files of the stock dump tools: what becomes of them, what is refused, and what is harmless."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.imported import pieces, taken_in
from fixtures.mysql import MySQLServer, StartMySQL, leftovers, restore, take
from fixtures.mysql_data import ODD, differences, fill, fingerprint
from fixtures.postgres import Log, a_guard
from holdfast.domain.errors import EvidenceMissing, Failure, PreflightRefused
from holdfast.engines.mysql.driver import MySQL
from holdfast.engines.mysql.restore.definers import OWNER
from holdfast.jobs.dumps import inventories


def dumped(made: MySQLServer, *options: str, program: str = "mariadb-dump") -> bytes:
    """As a user of the stock tool gets it."""
    password = made.place.password.reveal().replace("\\", "\\\\").replace('"', '\\"')
    file = made.log.with_suffix(".dump.cnf")
    file.touch(0o600)
    file.write_text(f'[client]\nhost=127.0.0.1\nport={made.place.port}\npassword="{password}"\n')
    argv = [program, f"--defaults-file={file}", "--user=admin", *options]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def load(target: MySQLServer, body: bytes, log: Log, op: str = "import") -> None:
    """All of it, by the steps of a restore."""
    dump, engine = taken_in(target.engine, body), target.engine
    engine.preflight(target.address, dump)
    fetch, attempt = (lambda _: pieces(body)), log.attempt(op)
    loaded = engine.stage(target.address, dump, fetch, attempt, a_guard())
    assert inventories.shortfalls(dump.inventory, loaded) == []
    engine.swap(target.address, dump, attempt, a_guard())
    engine.swap(target.address, dump, attempt, a_guard())  # as after a lost answer


def as_imported(found: dict[str, object]) -> dict[str, str]:
    """Code gets another definer, and accounts are not imported."""
    return {
        key: re.sub(r"DEFINER=\S+", "DEFINER=somebody", str(value))
        for key, value in found.items()
        if not key.startswith("account")
    }


EVERYTHING = ("--routines", "--events", "--databases", "shop", "crm", "nothing_in_it", ODD)


@pytest.mark.parametrize(
    ("program", "options"),
    [
        pytest.param("mariadb-dump", ["--single-transaction", "--dump-history"], id="plain"),
        pytest.param(
            "mysqldump",
            ["--hex-blob", "--skip-extended-insert", "--dump-history"],
            id="hex",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "mariadb-dump",
            ["--add-drop-database", "--complete-insert", "--dump-history"],
            id="complete",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_dump_of_the_stock_tool_comes_in_whole(
    mariadb: MySQLServer, other_mariadb: MySQLServer, program: str, options: list[str]
) -> None:
    fill(mariadb)
    body = dumped(mariadb, *options, *EVERYTHING, program=program)
    load(other_mariadb, body, Log())
    before, found = (as_imported(fingerprint(each)) for each in (mariadb, other_mariadb))
    assert differences(before, found) == []
    assert [row[0] for row in leftovers(other_mariadb)] == [OWNER]


def small(made: MySQLServer, *options: str) -> bytes:
    made.execute(
        "CREATE DATABASE shop CHARACTER SET latin1",
        "CREATE TABLE shop.t (id int PRIMARY KEY, v text)",
        "INSERT INTO shop.t VALUES (1, 'x),('), (2, 'it''s \\\\'), (3, NULL)",
        "CREATE TABLE shop.empty_one (a int)",
        "CREATE VIEW shop.v AS SELECT count(*) AS n FROM shop.t",
        "USE shop",
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = upper(NEW.v)",
    )
    return dumped(made, *options, "shop") if options else dumped(made, "shop")


def test_a_dump_without_a_name_goes_into_the_database_of_the_addon(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    body = small(mariadb).replace(b"\n", b"\r\n")
    other_mariadb.execute("CREATE TABLE main.old (a int)", "ALTER DATABASE main CHARSET utf8mb3")
    dump = taken_in(other_mariadb.engine, body, 7)
    assert {(t.database, t.name): t.rows for t in dump.inventory.tables} == {
        ("", "t"): 3,
        ("", "empty_one"): 0,
    }
    load(other_mariadb, body, Log())
    assert other_mariadb.execute("SELECT n FROM main.v") == [(3,)]
    other_mariadb.execute("INSERT INTO main.t VALUES (4, 'up')")
    assert other_mariadb.execute("SELECT v FROM main.t WHERE id = 4") == [("UP",)]
    assert {row[0] for row in other_mariadb.execute("SHOW TABLES FROM main")} == {
        "t",
        "v",
        "empty_one",
    }
    assert other_mariadb.execute(
        "SELECT default_character_set_name FROM information_schema.schemata"
        " WHERE schema_name = 'main'"
    ) == [("utf8mb3",)]


def test_of_a_dump_of_everything_the_server_itself_is_left_out(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    small(mariadb)
    mariadb.execute("CREATE USER stranger IDENTIFIED BY 'x'", "GRANT ALL ON *.* TO stranger")
    body = dumped(mariadb, "--all-databases", "--flush-privileges")
    for more in (
        "CREATE USER evil",
        "GRANT ALL ON *.* TO evil",
        "CHANGE MASTER TO MASTER_HOST='x'",
    ):
        body = with_more(body, more)
    accounts = other_mariadb.execute("SELECT user, host FROM mysql.user")
    log = Log()
    load(other_mariadb, body, log)
    assert other_mariadb.execute("SELECT n FROM shop.v") == [(3,)]
    assert [row for row in other_mariadb.execute("SELECT user, host FROM mysql.user")
            if row[0] != OWNER] == accounts  # fmt: skip
    said = {line.removeprefix("left out: ") for line in log.lines if "left out" in line}
    assert said >= {
        "databases of the server itself",
        "accounts",
        "grants",
        "settings of replication",
    }


def test_a_dump_without_comments_tells_its_end_by_what_it_puts_back(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    load(other_mariadb, small(mariadb, "--skip-comments"), Log())
    assert other_mariadb.execute("SELECT n FROM main.v") == [(3,)]


def test_of_a_dump_with_the_system_everything_but_the_databases_is_left_out(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    small(mariadb)
    server = "IF NOT EXISTS away FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1')"
    mariadb.execute("CREATE ROLE clerk", f"CREATE SERVER {server}")
    try:
        body = dumped(mariadb, "--system=all", "--databases", "shop")
    finally:
        mariadb.execute("DROP SERVER away")
    for more in (
        "CREATE /*M!100103 OR REPLACE */ FUNCTION sys_exec RETURNS int SONAME 'lib_sys.so'",
        "INSTALL PLUGIN x SONAME 'x.so'",
    ):
        body = body.replace(b"USE mysql;\n", more.encode() + b";\nUSE mysql;\n", 1)
    accounts = other_mariadb.execute("SELECT user FROM mysql.user")
    log = Log()
    load(other_mariadb, body, log)
    assert other_mariadb.execute("SELECT n FROM shop.v") == [(3,)]
    made = other_mariadb.execute(f"SELECT user FROM mysql.user WHERE user <> '{OWNER}'")
    assert made == accounts
    for table in ("servers", "func", "plugin"):
        assert other_mariadb.execute(f"SELECT * FROM mysql.{table}") == []
    said = {line.removeprefix("left out: ") for line in log.lines if "left out" in line}
    assert said >= {"accounts", "addresses of other servers", "plugins", "functions of libraries"}


def test_what_is_not_whole_or_not_ours_is_refused_with_what_was_found(
    mariadb: MySQLServer,
) -> None:
    engine, body = mariadb.engine, small(mariadb)
    wrong = {
        body[: len(body) // 2]: "ends inside|cut off",
        body[: body.rindex(b"-- Dump completed")]: "cut off",
        dumped(mariadb, "--compact", "shop"): "or made with --compact",
        dumped(mariadb, "--skip-comments", "shop")[:-90]: "ends inside",
        b"SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\n": "made with --compact",
        dumped(mariadb, "--no-data", "--no-create-info", "--skip-triggers", "shop", "t"):
            "holds no database",
        dumped(mariadb, "--no-create-info", "--skip-triggers", "shop"):
            "rows of table t, but does not say what it is: .* --no-create-info",
        b"mysqldump: [Warning] Using a password\n" + body: "keep its standard error out",
        b"--\n-- PostgreSQL database dump\n--\n": "a dump of PostgreSQL",
        b"PGDMP\x01": "pg_dump",
        b"-- phpMyAdmin SQL Dump": "phpMyAdmin",
        b"\xff\xfe-\0-\0": "PowerShell",
        b"<html>": "HTML",
        b"REDIS0011": "Redis",
        b"": "not known here",
    }  # fmt: skip
    for file, reason in wrong.items():
        with pytest.raises(EvidenceMissing, match=reason):
            taken_in(engine, file)


REFUSED = {
    "\\! touch {proof}": "not allowed",
    "system touch {proof}": "not allowed",
    "source /etc/passwd": "not allowed",
    "tee {proof}": "not allowed",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE `t`": "not allowed",
    "SELECT 'x' INTO OUTFILE '{proof}'": "not allowed",
    "SET GLOBAL general_log_file = '{proof}'": "not allowed",
    "SET @@global.event_scheduler = 1": "not allowed",
    "INSTALL SONAME 'x.so'": "not allowed",
    "INSERT INTO mysql.user VALUES (1)": "not allowed",
    "CREATE TABLE `f` (a int) ENGINE=FEDERATED CONNECTION='mysql://h/x/y'": "not imported",
    "CREATE TABLE `f` (a int) /*!50000 ENGINE = CONNECT */ FILE_NAME='/etc/passwd'": "not imported",
    "SET NAMES gbk": "cannot be read safely",
    "PREPARE p FROM 'DROP DATABASE victim'": "not allowed",
    "INSERT INTO `t` VALUES (2, (SELECT count(*) FROM victim.t))": None,
    "INSERT INTO `t` VALUES (2, 'it ends;\n'); DROP DATABASE victim": None,
    "CREATE TABLE `u` AS SELECT * FROM mysql.user": None,
    "CREATE TABLE `u` (a int) DATA/**/DIRECTORY='/var/tmp'": None,
    "CREATE TRIGGER evil BEFORE INSERT ON victim.t FOR EACH ROW SET @a = 1": "says",
    "CREATE TRIGGER victim.evil BEFORE INSERT ON `victim` . `t` FOR EACH ROW SET @a = 1": "says",
}


def with_more(body: bytes, statement: str) -> bytes:
    """A whole dump that holds one statement more, at its end."""
    mark = b"-- Dump completed"
    return body.replace(mark, statement.encode() + b";\n" + mark)


def test_a_hostile_file_does_no_harm(
    mariadb: MySQLServer, other_mariadb: MySQLServer, proof: Path
) -> None:
    body, target = small(mariadb), other_mariadb
    target.execute("CREATE DATABASE victim", "CREATE TABLE victim.t (a int)")
    before = fingerprint(target)
    for number, (statement, reason) in enumerate(REFUSED.items()):
        evil = with_more(body, statement.replace("{proof}", str(proof)))
        if reason is not None:
            with pytest.raises(EvidenceMissing, match=reason):
                taken_in(target.engine, evil)
        else:
            with pytest.raises(Failure):
                load(target, evil, Log(), f"evil-{number}")
            target.engine.discard(target.address, Log().attempt(f"evil-{number}"))
        assert fingerprint(target) == before, statement
        assert [row for row in leftovers(target) if row[0] != OWNER] == [], statement
    assert not proof.exists()


def test_a_dump_of_another_project_brings_no_account_and_no_definer(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    """Written by us, of a server that its owner could shape."""
    fill(mariadb)
    taken = take(mariadb.engine, mariadb.address)
    taken.dump = replace(taken.dump, trusted=False)
    loaded = restore(other_mariadb.engine, other_mariadb.address, taken, Log())
    assert inventories.differences(taken.dump.inventory, loaded) == []
    before, found = (as_imported(fingerprint(each)) for each in (mariadb, other_mariadb))
    assert differences(before, found) == []
    accounts = (
        "SELECT DISTINCT definer FROM information_schema.routines WHERE routine_schema = 'shop'"
    )
    assert other_mariadb.execute(accounts) == [(f"{OWNER}@localhost",)]
    users = "SELECT user FROM mysql.user WHERE user NOT LIKE 'mariadb.%' AND user <> 'admin'"
    assert {row[0] for row in other_mariadb.execute(users)} <= {OWNER, "PUBLIC"}


HIDDEN = "/*!999999 DEFINER=`admin`@`%` */"
"""A comment that the server does not read, and a reader of dumps may."""


def test_code_of_a_stranger_has_few_rights(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    body, target = small(mariadb), other_mariadb
    for name, definer in (("p1", "DEFINER=`admin`@`%`"), ("p2", ""), ("p3", HIDDEN)):
        evil = f"CREATE {definer} PROCEDURE `{name}`() DELETE FROM victim.t"
        body = with_more(body, f"DELIMITER ;;\n{evil};;\nDELIMITER ;\nSET @a = 1")
    body = with_more(body, "CREATE DEFINER=`admin`@`%` SQL SECURITY DEFINER VIEW `w` AS"
                           " SELECT user FROM mysql.user")  # fmt: skip
    target.execute("CREATE DATABASE victim", "CREATE TABLE victim.t (a int)")
    target.execute("INSERT INTO victim.t VALUES (1)")
    log = Log(keep_others=True)
    load(target, body, log)
    with target.connect("main") as session:
        for name in ("p1", "p2", "p3"):
            with pytest.raises(Exception, match="denied"):
                session.execute(f"CALL {name}()")
        with pytest.raises(Exception, match="lack rights"):
            session.rows("SELECT * FROM w")
        assert session.rows("SELECT n FROM v") == [(3,)]
        assert session.rows("SELECT count(*) FROM victim.t") == [(1,)]
    locked = target.execute(f"SHOW CREATE USER `{OWNER}`@localhost")[0][0]
    assert "ACCOUNT LOCK" in locked


def test_a_discarded_import_leaves_everything_as_it_was(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    body, target = small(mariadb), other_mariadb
    target.execute("CREATE TABLE main.mine (a int)")
    before = fingerprint(target)
    dump, attempt = taken_in(target.engine, body), Log().attempt("given up")
    target.engine.stage(target.address, dump, lambda _: pieces(body), attempt, a_guard())
    assert "as it was" in target.engine.discard(target.address, attempt)
    assert fingerprint(target) == before
    assert leftovers(target) == []


def test_what_the_target_lacks_is_said_before_anything_is_touched(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    body, engine = small(mariadb), other_mariadb.engine
    newer = body.replace(b"-MariaDB", b"-MariaDB").replace(
        b"Server version\t10.", b"Server version\t99."
    )
    foreign = body.replace(b"COLLATE=latin1_swedish_ci", b"COLLATE=utf8mb4_0900_ai_ci")
    nameless = replace(other_mariadb.address, database="")
    for file, where, reason in (
        (newer, other_mariadb.address, "must not be older"),
        (foreign, other_mariadb.address, "utf8mb4_0900_ai_ci"),
        (body, nameless, "names none to load it into"),
    ):
        with pytest.raises(PreflightRefused, match=reason):
            engine.preflight(where, taken_in(engine, file))


@pytest.mark.slow
def test_a_dump_of_mysql_comes_into_mysql(start_mysql: StartMySQL, unstable_mysql: MySQL) -> None:
    source, target = (start_mysql(role, unstable_mysql) for role in ("source", "target"))
    for made in (source, target):
        made.wipe()
    fill(source)
    tools = next(t for t in unstable_mysql.tools() if t.flavour == "MySQL")
    options = ("--set-gtid-purged=OFF", "--column-statistics=0", "--single-transaction")
    body = dumped(source, *options, *EVERYTHING, program=str(tools.dump))
    load(target, body, Log())
    before, found = (as_imported(fingerprint(each)) for each in (source, target))
    assert differences(before, found) == []
