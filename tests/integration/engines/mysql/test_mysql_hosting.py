"""Servers that Holdfast runs, beside others of the same machine."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.mysql import MySQLServer
from fixtures.postgres import a_guard, free_port
from holdfast.contracts.place import Place
from holdfast.engines.mysql import server
from holdfast.engines.mysql.driver import MySQL
from holdfast.engines.mysql.rehearsal import Rehearsal
from holdfast.kit.seal import Secret


@pytest.fixture
def somebodys() -> Iterator[Path]:
    """A temporary table of another server, where servers have theirs by default."""
    made = Path(tempfile.gettempdir()) / f"#sql-temptable-{secrets.token_hex(4)}-e-1.MAI"
    made.touch()
    user = server.run_as()
    if user is not None:
        shutil.chown(made, user)
    yield made
    made.unlink(missing_ok=True)


def test_no_server_takes_what_is_another_ones(
    mysql_engine: MySQL, mysql_room: Path, somebodys: Path
) -> None:
    """Not when it is made, not when it runs, and not when a copy of it is rehearsed."""
    home = mysql_room / "alone"
    home.mkdir(mode=0o755)
    version = mysql_engine.versions()[0]
    place = Place(home / "data", free_port(), version, "admin", Secret("s3cret"), "main")
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
    assert Rehearsal(Path("/nowhere"), place.directory, place, a_guard()).run()
    assert somebodys.exists()
    assert sorted(path.name for path in home.iterdir()) == ["data", "data.tmp", "log"]
    assert list((home / "data.tmp").iterdir()) == []
