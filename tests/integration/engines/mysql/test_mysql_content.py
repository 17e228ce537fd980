"""What scripts hold of each table, compared on real servers."""

import pytest

from fixtures.mysql import MySQLServer, StartMySQL, Taken, restore, take
from fixtures.mysql_data import fill
from fixtures.postgres import Log
from holdfast.contracts.drills import Content, ContentReadable
from holdfast.contracts.engine import Address
from holdfast.engines.mysql.driver import MySQL


def content_of(engine: MySQL, taken: Taken, piece: int = 1 << 16) -> dict[str, Content]:
    found: dict[str, Content] = {}
    for member in taken.dump.members:
        found |= engine.content(member, taken.fetch(member.name, piece))
    return found


def dumped(engine: MySQL, address: Address) -> dict[str, Content]:
    return content_of(engine, take(engine, address))


def test_a_restored_server_has_the_same_content(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    engine = mariadb.engine
    assert isinstance(engine, ContentReadable)
    fill(mariadb)
    mariadb.execute(
        "SET time_zone = '+05:45'",
        "CREATE TABLE moments (at TIMESTAMP(6) NULL, f DOUBLE, g FLOAT, b BIT(9), t TEXT)",
        "INSERT INTO moments VALUES ('2020-01-01 00:30:00.25', 1/3, 0.1, b'101', 'a\\nb),\\n(c'),"
        " (NULL, 1e300, NULL, NULL, '')",
        "CREATE SEQUENCE numbers",
        "SELECT NEXTVAL(numbers)",
        database="main",
    )
    taken = take(engine, mariadb.address)
    before = content_of(engine, taken)
    assert before == content_of(engine, taken, piece=997)
    counted = {
        f"{table.database}.{table.name}": table.rows
        for table in taken.dump.inventory.tables
        if table.rows
    }
    assert {name: found.rows for name, found in before.items() if name in counted} == counted
    assert before["main.numbers"].rows == 1
    other_mariadb.execute("SET GLOBAL time_zone = '-07:00', GLOBAL net_buffer_length = 16384")
    try:
        restore(engine, other_mariadb.address, taken, Log())
        assert dumped(engine, other_mariadb.address) == before
        other_mariadb.execute("UPDATE main.moments SET t = 'x' WHERE f = 1e300")
        after = dumped(engine, other_mariadb.address)
    finally:
        other_mariadb.execute("SET GLOBAL time_zone = SYSTEM")
    assert {name for name in before if before[name] != after[name]} == {"main.moments"}


@pytest.mark.slow
def test_mysql_writes_other_statements_for_the_same_rows(
    start_mysql: StartMySQL, unstable_mysql: MySQL
) -> None:
    server = start_mysql("content", unstable_mysql)
    server.wipe()
    server.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, body LONGTEXT, raw BLOB, j JSON, g INT AS (id + 1))",
        "SET cte_max_recursion_depth = 100000",
        "INSERT INTO t (id, body, raw, j) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
        " SELECT i + 1 FROM n WHERE i < 20000) SELECT i, CONCAT(i, ' it\\'s ),( \\n'), X'00FF28',"
        " JSON_OBJECT('k', ')(') FROM n",
        database="main",
    )
    before = dumped(unstable_mysql, server.address)
    assert before["main.t"].rows == 20_000
    taken = take(unstable_mysql, server.address)
    restore(unstable_mysql, server.address, taken, Log())
    assert dumped(unstable_mysql, server.address) == before
