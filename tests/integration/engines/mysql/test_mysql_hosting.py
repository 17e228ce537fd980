"""Servers that Holdfast runs, beside others of the same machine."""

from pathlib import Path

import pytest

from fixtures.mysql import MySQLServer
from fixtures.postgres import a_guard, free_port
from holdfast.contracts.local_servers import LocalServer
from holdfast.engines.mysql.driver import MySQL
from holdfast.engines.mysql.physical.rehearsal import Rehearsal
from holdfast.kit.seal import Secret


@pytest.fixture
def somebodys(mysql_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary table of another server, where servers have theirs by default."""
    shared = mysql_root / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(shared))
    made = shared / "#sql-temptable-1-1-1.MAI"
    made.touch()
    return made


def test_no_server_takes_what_is_another_ones(
    mysql_engine: MySQL, mysql_root: Path, somebodys: Path
) -> None:
    """Not when it is made, not when it runs, and not when a copy of it is rehearsed."""
    home = mysql_root / "alone"
    home.mkdir(mode=0o755)
    version = mysql_engine.versions()[0]
    place = LocalServer(home / "data", free_port(), version, "admin", Secret("s3cret"), "main")
    made = MySQLServer(mysql_engine, place, home / "log")
    mysql_engine.initialise(place)
    made.start()
    try:
        assert made.execute("SELECT @@tmpdir") == [(str(home / "data.tmp"),)]
        made.execute("CREATE TABLE main.t (id int PRIMARY KEY, v longtext)")
        made.execute("INSERT INTO main.t SELECT seq, repeat(seq % 7, 100000) FROM main.seq_1_to_50")
        found = made.execute("SELECT v, count(*) FROM main.t GROUP BY v ORDER BY 2, 1")
        assert len(found) == 7  # on disk: no other temporary table holds long texts
    finally:
        mysql_engine.stop(place)
    assert Rehearsal(Path("/nowhere"), place.directory, place, a_guard()).run({})
    assert somebodys.exists()
    assert sorted(path.name for path in home.iterdir()) == ["data", "data.tmp", "log"]
    assert list((home / "data.tmp").iterdir()) == []
