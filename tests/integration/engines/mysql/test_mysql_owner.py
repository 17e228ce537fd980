"""The owner of a managed server is not its administrator: what reaches the machine is refused."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures import mysql_data
from fixtures.managed import OWNER, managed_place
from fixtures.mysql import MySQLServer, restore, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.local_servers import ADMIN, SETTLED
from holdfast.engines.mysql.client.connection import Session, WireError
from holdfast.engines.mysql.driver import MySQL
from holdfast.engines.mysql.hosting.administrator import account, limited_grants

SECRET = managed_place(Path("/nowhere/at/all")).admin.password

REFUSED = (
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t",
    "SELECT 1 INTO OUTFILE '/tmp/holdfast-out'",
    "SELECT 1 INTO DUMPFILE '/tmp/holdfast-out'",
    "INSTALL SONAME 'ha_connect'",
    "INSTALL PLUGIN connect SONAME 'ha_connect'",
    "CREATE FUNCTION sys_exec RETURNS INTEGER SONAME 'udf.so'",
    "INSERT INTO mysql.func VALUES ('f', 0, 'udf.so', 'function')",
    "INSERT INTO mysql.plugin VALUES ('connect', 'ha_connect')",
    f"UPDATE mysql.global_priv SET priv = '{{}}' WHERE user = '{ADMIN}'",
    "CREATE TABLE mysql.mine (x int)",
    "SET GLOBAL general_log_file = '/tmp/holdfast-out'",
    "SET GLOBAL general_log = ON",
    "SET GLOBAL secure_file_priv = ''",
    "SET GLOBAL local_infile = ON",
    "SET GLOBAL init_connect = 'SELECT 1'",
    "SET GLOBAL event_scheduler = ON",
    "SHUTDOWN",
    "FLUSH PRIVILEGES",
    "FLUSH LOGS",
    "CHANGE MASTER TO MASTER_HOST = 'elsewhere'",
    "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'elsewhere')",
    f"ALTER USER {account(ADMIN)} IDENTIFIED BY 'mine'",
    f"SET PASSWORD FOR {account(ADMIN)} = PASSWORD('mine')",
    f"DROP USER {account(ADMIN)}",
    "CREATE USER another IDENTIFIED BY 'x'",
    f"GRANT FILE ON *.* TO {account(OWNER)}",
    f"GRANT ALL ON mysql.* TO {account(OWNER)}",
    "GRANT ALL ON `mysq_`.* TO app",
    f"CREATE DEFINER = {account(ADMIN)} PROCEDURE strong() SELECT 1",
    f"CREATE DEFINER = {account(ADMIN)} VIEW strong AS SELECT 1",
    "CREATE DATABASE holdfast_stage_mine",
    f"CALL mysql.holdfast_drop_user('{ADMIN}')",
    f"CALL mysql.holdfast_grant('defaultdb', '{ADMIN}')",
    "CALL mysql.holdfast_grant('mysql', 'app')",
    "CALL mysql.holdfast_grant('holdfast_stage_x', 'app')",
    "CALL mysql.holdfast_create_user('root', 'x')",
    "CALL mysql.holdfast_create_user('a\\\\', 'x')",
)


@pytest.fixture(scope="module")
def home(mysql_root: Path) -> Path:
    made = mysql_root / f"installation-{time.monotonic_ns()}" / "addon"
    made.mkdir(mode=0o711, parents=True)
    made.parent.chmod(0o711)
    return made


@pytest.fixture(scope="module")
def managed(mysql_engine: MySQL, home: Path) -> Iterator[MySQLServer]:
    place = managed_place(home / "data", mysql_engine.versions()[0], 65_201)
    server = MySQLServer(mysql_engine, place, home / "log")
    mysql_engine.initialise(place)
    server.start()
    yield server
    mysql_engine.stop(place)


class InDefault(MySQLServer):
    """Sessions of the owner, in the application's database."""

    def connect(self, database: str | None = None) -> Session:
        return super().connect(database or self.place.database)


def owner_of(server: MySQLServer) -> MySQLServer:
    return InDefault(server.engine, replace(server.place, admin=None), server.log)


def require_confined(owner: MySQLServer) -> None:
    owner.execute("CREATE TABLE IF NOT EXISTS t (x text)")
    for statement in REFUSED:
        with pytest.raises(WireError) as refused:
            owner.execute(statement)
        assert refused.value.args[0] != 1064, (statement, refused.value)
    assert owner.execute("SELECT LOAD_FILE('/etc/passwd')") == [(None,)]


def test_what_reaches_the_machine_is_refused(managed: MySQLServer) -> None:
    owner = owner_of(managed)
    owner.execute("CALL mysql.holdfast_create_user('app', 'it''s \\\\ \"a\" secret')")
    require_confined(owner)
    owner.execute("CREATE DATABASE my_own")
    owner.execute("CALL mysql.holdfast_grant('my_own', 'app')")
    grants = managed.execute("SHOW GRANTS FOR 'app'@'%'")
    assert any("`my\\_own`.*" in str(grant) for (grant,) in grants)
    owner.execute("DROP DATABASE my_own", "CALL mysql.holdfast_drop_user('app')")


def test_a_dump_comes_back_and_its_code_is_the_owners(managed: MySQLServer) -> None:
    owner = owner_of(managed)
    owner.execute(
        "CREATE TABLE rows_of (x int PRIMARY KEY, y int AS (x * 2))",
        "INSERT INTO rows_of (x) VALUES (1), (2)",
        "CREATE VIEW seen AS SELECT * FROM rows_of",
        "CREATE PROCEDURE tells() SELECT CURRENT_USER()",
        "CREATE TRIGGER adds BEFORE INSERT ON rows_of FOR EACH ROW SET NEW.x = NEW.x + 1",
        "CREATE EVENT later ON SCHEDULE EVERY 1 DAY DO DELETE FROM rows_of WHERE x = 0",
        "CALL mysql.holdfast_create_user('app', 'secret')",
        "CALL mysql.holdfast_grant('defaultdb', 'app')",
    )
    taken = take(managed.engine, managed.address)
    owner.execute("DROP TABLE rows_of", "DROP PROCEDURE tells")
    restore(managed.engine, managed.address, taken, Log())
    assert owner.execute("SELECT x, y FROM seen ORDER BY x") == [(1, 2), (2, 4)]
    assert owner.execute("CALL tells()") == [(f"{OWNER}@%",)]
    definers = managed.execute(
        "SELECT DISTINCT definer FROM information_schema.views WHERE table_schema = 'defaultdb'"
        " UNION SELECT definer FROM information_schema.triggers WHERE trigger_schema = 'defaultdb'"
        " UNION SELECT definer FROM information_schema.events"
    )
    assert definers == [(f"{OWNER}@%",)]
    owner.execute("DROP VIEW seen", "DROP TABLE rows_of")


def test_an_old_server_is_changed_and_its_dump_restores(
    mysql_engine: MySQL, mysql_root: Path
) -> None:
    home = mysql_root / f"old-{time.monotonic_ns()}" / "addon"
    home.mkdir(mode=0o711, parents=True)
    home.parent.chmod(0o711)
    place = managed_place(home / "data", mysql_engine.versions()[0], 65_202)
    old = MySQLServer(mysql_engine, replace(place, admin=None), home / "log")
    mysql_engine.initialise(old.place)
    old.start()
    owner_of(old).execute(
        "CREATE TABLE kept (x int)",
        "INSERT INTO kept VALUES (1)",
        "CREATE USER second IDENTIFIED BY 'second'",
        "GRANT ALL PRIVILEGES ON *.* TO second WITH GRANT OPTION",
        "CREATE USER app IDENTIFIED BY 'app'",
        "GRANT FILE, SELECT, INSERT ON *.* TO app",
        "GRANT INSERT ON mysql.func TO app",
        "CREATE PROCEDURE strong() SELECT LOAD_FILE('/etc/passwd')",
    )
    taken = take(mysql_engine, old.address)
    mysql_engine.stop(old.place)
    server = replace(old, place=place)
    mysql_engine.settle(place, a_guard())
    assert (place.directory / SETTLED).exists()
    server.start()
    try:
        for _ in range(2):
            require_weak(server)
            restore(mysql_engine, server.address, taken, Log())
    finally:
        mysql_engine.stop(place)


def require_weak(server: MySQLServer) -> None:
    owner = owner_of(server)
    assert owner.execute("SELECT x FROM kept") == [(1,)]
    for user, secret in (("second", "second"), ("app", "app"), (OWNER, None)):
        place = owner.place if secret is None else replace(owner.place, user=user)
        who = (
            owner
            if secret is None
            else replace(owner, place=replace(place, password=type(place.password)(secret)))
        )
        for statement in (
            "INSERT INTO mysql.func VALUES ('f', 0, 'udf.so', 'function')",
            "SELECT 1 INTO OUTFILE '/proc/fs/x'",
            f"ALTER USER {account(ADMIN)} IDENTIFIED BY 'mine'",
            "SHUTDOWN",
        ):
            with pytest.raises(WireError):
                who.execute(statement)
        assert who.execute("SELECT x FROM defaultdb.kept") == [(1,)]


def test_grants_of_a_dump_are_cut_down() -> None:
    every = list(limited_grants("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION"))
    assert every[0] == "GRANT PROCESS, SHOW DATABASES ON *.* TO `a`@`%`"
    assert every[1] == "GRANT ALL PRIVILEGES ON `%`.* TO `a`@`%`"
    assert "GRANT SHOW VIEW ON `mysql`.* TO `a`@`%`" in every
    for statement, kept in (
        ("GRANT FILE, SUPER ON *.* TO `a`@`%`", ["GRANT USAGE ON *.* TO `a`@`%`"]),
        ("GRANT INSERT ON `mysql`.* TO `a`@`%`", []),
        ("GRANT ALL PRIVILEGES ON `mysql`.`user` TO `a`@`%`", []),
        ("GRANT PROXY ON ''@'%' TO `a`@`%`", []),
        ("CREATE USER IF NOT EXISTS `a`@`%`", ["CREATE USER IF NOT EXISTS `a`@`%`"]),
    ):
        assert list(limited_grants(statement)) == kept
    plain = "GRANT SELECT ON `shop`.* TO `a`@`%` WITH GRANT OPTION"
    assert list(limited_grants(plain)) == [plain]
    pattern = limited_grants("GRANT ALL ON `s_p`.* TO `a`@`%` WITH GRANT OPTION")
    assert "GRANT OPTION" not in " ".join(pattern)


def test_everything_comes_back_on_a_managed_server(managed: MySQLServer) -> None:
    ours = replace(managed, place=replace(managed.place, user=ADMIN, password=SECRET, admin=None))
    owner = owner_of(managed)
    mysql_data.fill(MySQLServer(owner.engine, owner.place, owner.log), 50, helper=ours)
    before = mysql_data.fingerprint(ours)
    taken = take(managed.engine, managed.address)
    log = Log()
    restore(managed.engine, managed.address, taken, log)
    found = mysql_data.fingerprint(ours)
    assert mysql_data.differences(before, found) == [], log.lines
