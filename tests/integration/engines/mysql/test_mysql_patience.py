"""A store that takes nothing for longer than the server waits."""

import time
from collections.abc import Iterator

import pytest

from fixtures.mysql import MySQLServer
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import EVERYTHING
from holdfast.kit import read_ahead

pytestmark = pytest.mark.slow


@pytest.fixture
def curt(mariadb: MySQLServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[MySQLServer]:
    monkeypatch.setattr(read_ahead, "PATIENCE_SECONDS", 1.0)
    mariadb.execute("SET GLOBAL net_write_timeout = 6")
    yield mariadb
    mariadb.execute("SET GLOBAL net_write_timeout = 60")


def test_a_dump_outlasts_a_slow_store(curt: MySQLServer) -> None:
    curt.execute(
        "CREATE TABLE main.big (id int PRIMARY KEY, v varchar(400))",
        "INSERT INTO main.big SELECT seq, repeat(md5(seq), 10) FROM main.seq_1_to_100000",
    )
    with curt.engine.dump(curt.address, EVERYTHING, Log().attempt(), a_guard()) as session:
        source = session.open(session.members[-1])
        source.read(1 << 16)
        time.sleep(15)
        while source.read(1 << 20):
            pass
        source.finish()
        (counted,) = session.inventory().tables
    assert counted.rows == 100_000
