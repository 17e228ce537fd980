"""Physical copies of a working MariaDB: consistent, checked, and started from."""

import collections
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.holdfast import await_that
from fixtures.mysql import MySQLServer, StartMySQL
from fixtures.mysql_bank import busy, check_books, open_bank
from fixtures.mysql_data import differences, fill, fingerprint
from fixtures.physical import TakePhysical
from fixtures.postgres import Log, a_guard, free_port
from holdfast.contracts.local_servers import RestorableInPlace
from holdfast.contracts.snapshots import Snapshottable
from holdfast.domain.errors import EvidenceMissing, Failure, NotSupported, RestoreDiffers
from holdfast.engines.mysql.driver import MySQL
from holdfast.kit.seal import Secret


def started(origin: MySQLServer, tree: Path) -> MySQLServer:
    place = replace(origin.place, directory=tree / "data", port=free_port())
    made = MySQLServer(origin.engine, place, tree.with_suffix(".log"))
    made.start()
    return made


def settled(found: dict[str, Any]) -> dict[str, Any]:
    """Without the next number of a table: a start of the server gives back what it had reserved."""
    return {key: re.sub(r"AUTO_INCREMENT=\d+", "", repr(value)) for key, value in found.items()}


def test_a_copy_is_what_was_there(mariadb: MySQLServer, take_physical: TakePhysical) -> None:
    assert isinstance(mariadb.engine, Snapshottable)
    assert isinstance(mariadb.engine, RestorableInPlace)
    fill(mariadb)
    before = fingerprint(mariadb)
    copy = take_physical(mariadb)
    assert copy.facts["series"] == mariadb.engine.series(mariadb.place.version)
    assert copy.facts["files"] > 50
    assert set(copy.facts["proven"]) == {
        "mariadb-backup",
        "checksums of the copy",
        "log of the copy",
    }
    manifest = {"facts": copy.facts}
    assert mariadb.engine.obstacles(mariadb.place, manifest) == []
    foreign = {"facts": {**copy.facts, "series": "10.6"}}
    assert "10.6" in mariadb.engine.obstacles(mariadb.place, foreign)[0]
    copy.arrange()
    copy.arrange()
    proven = copy.rehearse()
    assert "tables by CHECK TABLE" in str(proven["checked"])
    restored = started(mariadb, copy.tree)
    try:
        assert differences(settled(before), settled(fingerprint(restored))) == []
        restored.execute("INSERT INTO shop.empty_one VALUES (1)")
    finally:
        mariadb.engine.stop(restored.place)


def test_accounts_of_a_foreign_copy_have_no_power(
    mariadb: MySQLServer, take_physical: TakePhysical
) -> None:
    mariadb.execute(
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (a int)",
        "CREATE USER boss@'%' IDENTIFIED BY 'known to its maker'",
        "GRANT ALL ON *.* TO boss@'%' WITH GRANT OPTION",
        "CREATE DEFINER=boss@'%' PROCEDURE shop.count_all() SELECT count(*) FROM shop.t",
        "CREATE DEFINER=boss@'%' PROCEDURE shop.escape() SELECT load_file('/etc/passwd')",
    )
    copy = take_physical(mariadb)
    copy.rehearse(foreign=True)
    restored = started(mariadb, copy.tree)
    try:
        grants = [row[0] for row in restored.execute("SHOW GRANTS FOR boss@'%'")]
        assert not any("ON *.*" in grant and "USAGE" not in grant for grant in grants), grants
        (created,) = restored.execute("SHOW CREATE USER boss@'%'")
        assert "ACCOUNT LOCK" in str(created[0])
        assert restored.execute("CALL shop.count_all()") == [(0,)]
        assert restored.execute("CALL shop.escape()") == [(None,)]
    finally:
        mariadb.engine.stop(restored.place)


def test_a_copy_under_writes_is_one_moment(
    mariadb: MySQLServer, take_physical: TakePhysical
) -> None:
    open_bank(mariadb)
    with busy(mariadb) as clerk:
        before = len(clerk.done)
        copy = take_physical(mariadb)
        assert len(clerk.done) > before
    copy.rehearse()
    restored = started(mariadb, copy.tree)
    try:
        check_books(restored, before)
    finally:
        mariadb.engine.stop(restored.place)


def test_a_store_that_stalls_does_not_keep_anybody_from_committing(mariadb: MySQLServer) -> None:
    """The log in a table is copied while nobody may commit, and is more than a pipe holds."""
    open_bank(mariadb)
    mariadb.execute("SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = ON")
    for _ in range(12):
        mariadb.execute(f"SELECT '{'y' * 600_000}'")
    mariadb.execute("SET GLOBAL general_log = OFF", "SET GLOBAL log_output = 'FILE'")
    stalled = False

    def go_on(wanted: int) -> None:
        await_that(lambda: len(clerk.done) > wanted, 60)

    with (
        busy(mariadb) as clerk,
        mariadb.engine.snapshot(mariadb.address, Log().attempt(), a_guard(), None) as session,
    ):
        for piece in session.pieces():
            if piece.path.endswith("general_log.CSV"):
                stalled = True
                go_on(len(clerk.done) + 20)
            collections.deque(piece.chunks, maxlen=0)
    assert stalled
    mariadb.execute("TRUNCATE mysql.general_log")


def test_a_damaged_copy_is_noticed(mariadb: MySQLServer, take_physical: TakePhysical) -> None:
    mariadb.execute(
        "CREATE TABLE main.t (id int PRIMARY KEY, v varchar(200))",
        "INSERT INTO main.t SELECT seq, repeat('x', 200) FROM main.seq_1_to_5000",
    )
    copy = take_physical(mariadb)
    copy.arrange()
    file = copy.tree / "data/main/t.ibd"
    body = bytearray(file.read_bytes())
    body[16384 * 20 + 500 : 16384 * 20 + 900] = b"\xff" * 400
    file.write_bytes(body)
    with pytest.raises((EvidenceMissing, RestoreDiffers)):
        copy.rehearse()


def test_what_it_needs_is_named(mariadb: MySQLServer) -> None:
    mariadb.execute("CREATE USER modest IDENTIFIED BY 'm'", "GRANT SELECT ON *.* TO modest")
    modest = replace(mariadb.address, user="modest", password=Secret("m"))
    with (
        pytest.raises(NotSupported, match="lacks RELOAD, PROCESS, LOCK TABLES"),
        mariadb.engine.snapshot(modest, Log().attempt(), a_guard(), None),
    ):
        pass


def test_a_tool_that_dies_leaves_no_completed_copy(mariadb: MySQLServer) -> None:
    with mariadb.engine.snapshot(mariadb.address, Log().attempt(), a_guard(), None) as capture:
        pieces = capture.pieces()
        next(pieces)
        capture._child.kill()
        with pytest.raises(Failure) as caught:
            collections.deque((chunk for piece in pieces for chunk in piece.chunks), maxlen=0)
    assert isinstance(caught.value, EvidenceMissing) or "signal 9" in str(caught.value)
    assert capture.facts == {}


@pytest.mark.slow
def test_mysql_has_none_and_says_so(start_mysql: StartMySQL, unstable_mysql: MySQL) -> None:
    made = start_mysql("source", unstable_mysql)
    with (
        pytest.raises(NotSupported, match=r"MySQL 9\."),
        made.engine.snapshot(made.address, Log().attempt(), a_guard(), None),
    ):
        pass
