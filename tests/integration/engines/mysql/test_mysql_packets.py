"""Rows that are as large as a server takes, which as hexadecimal digits are twice that."""

import random
from collections.abc import Iterator

import pytest

from fixtures.mysql import MySQLServer, StartMySQL, leftovers, restore, take
from fixtures.postgres import Log
from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.mysql.driver import MySQL

MOST = 1 << 20


@pytest.fixture
def narrow(mariadb: MySQLServer) -> Iterator[MySQLServer]:
    """It takes no more than a megabyte at a time."""
    yield from narrowed(mariadb)


def narrowed(made: MySQLServer) -> Iterator[MySQLServer]:
    (before,) = made.execute("SELECT @@GLOBAL.max_allowed_packet")[0]
    made.execute(f"SET GLOBAL max_allowed_packet = {MOST}")
    yield made
    made.execute(f"SET GLOBAL max_allowed_packet = {before}")


def fill(made: MySQLServer) -> None:
    """Through a session as anybody has one, so a value is no larger than the server takes."""
    awkward = bytes(range(256)) * 1024 + b"\\'" * 512 + b"\0" * 4096
    noise = random.Random(5).randbytes(900_000)
    with made.connect("main") as session:
        session.execute("CREATE TABLE t (id int PRIMARY KEY, b longblob, c text, d bit(9))")
        for number, value in enumerate((awkward, noise, b"\0" * 1_000_000, b"", b"small")):
            row = b"INSERT INTO t VALUES (%d, _binary'%b', 'it''s 0x41', 5)"
            session.run(row % (number, value.replace(b"\\", b"\\\\").replace(b"'", b"\\'")))


SUMS = "SELECT id, length(b), sha2(b, 256), c, d + 0 FROM main.t ORDER BY id"


def test_what_a_server_took_it_takes_again(narrow: MySQLServer) -> None:
    fill(narrow)
    before = narrow.execute(SUMS)
    assert [row[1] for row in before] == [267_264, 900_000, 1_000_000, 0, 5]
    taken = take(narrow.engine, narrow.address)
    assert max(map(len, taken.plain["databases.sql"].split(b";\n"))) > MOST
    narrow.execute("DROP TABLE main.t")
    restore(narrow.engine, narrow.address, taken, Log())
    assert narrow.execute(SUMS) == before


@pytest.mark.slow
def test_what_mysql_took_it_takes_again(start_mysql: StartMySQL, unstable_mysql: MySQL) -> None:
    made = start_mysql("source", unstable_mysql)
    made.wipe()
    for server in narrowed(made):
        test_what_a_server_took_it_takes_again(server)


def test_a_row_that_is_too_large_says_what_to_set(
    narrow: MySQLServer, other_mariadb: MySQLServer
) -> None:
    other_mariadb.execute("CREATE TABLE main.t (id int PRIMARY KEY, b longblob)")
    other_mariadb.execute("INSERT INTO main.t VALUES (1, repeat('x', 3000000))")
    taken = take(other_mariadb.engine, other_mariadb.address)
    narrow.execute("CREATE TABLE main.mine (a int)")
    with pytest.raises(RestoreDiffers) as caught:
        restore(narrow.engine, narrow.address, taken, Log())
    assert "2.9 MiB is more than the target takes: its max_allowed_packet is 1.0 MiB" in str(
        caught.value
    )
    assert "SET GLOBAL max_allowed_packet = 1073741824" in str(caught.value)
    assert narrow.execute("SHOW TABLES FROM main") == [("mine",)]
    narrow.engine.discard(narrow.address, Log().attempt("restore"))
    assert not leftovers(narrow)
