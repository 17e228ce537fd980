"""What commits did is counted from the log alone, row by row."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.mysql import StartMySQL
from fixtures.postgres import PostgresServer
from holdfast.contracts.archive import FILE_SPAN, Change, FileNames, Log, TableChange
from holdfast.engines.mysql.physical import log_changes
from holdfast.engines.postgresql.physical import wal_changes
from holdfast.engines.postgresql.physical.wal_replay import file_name
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard

LOGGING = ("--log-bin=mariadb-bin", "--binlog-format=ROW", "--server-id=7")
TYPES = {
    "INT": "1", "TINYINT": "2", "SMALLINT": "3", "MEDIUMINT": "4", "BIGINT": "5", "FLOAT": "1.5",
    "DOUBLE": "2.5", "DECIMAL(20,7)": "123.4567", "DECIMAL(5,0)": "99", "DATE": "'2026-01-01'",
    "TIME(3)": "'10:00:00.5'", "DATETIME(6)": "now(6)", "TIMESTAMP(1) NULL": "now()",
    "YEAR": "2026", "CHAR(10)": "'abc'", "CHAR(200) CHARACTER SET utf8mb4": "repeat('x', 150)",
    "VARCHAR(100)": "'hello'", "VARCHAR(2000)": "repeat('x', 1000)", "BIT(11)": "b'101'",
    "ENUM('a','b')": "'b'", "SET('x','y','z')": "'x,z'", "TINYTEXT": "'t'",
    "BLOB": "repeat('b', 60000)", "MEDIUMBLOB": "'m'", "LONGTEXT": "'l'", "BINARY(5)": "'bi'",
    "VARBINARY(300)": "repeat('y', 290)", "POINT": "POINT(1, 2)", "JSON": "'{}'",
    "INET6": "'::1'", "VARCHAR(500) COMPRESSED": "repeat('c', 400)",
    "BLOB COMPRESSED": "repeat('d', 1000)",
}  # fmt: skip


@pytest.mark.parametrize("compressed", [0, 1])
def test_mariadb_rows_of_every_type(start_mysql: StartMySQL, compressed: int) -> None:
    server = start_mysql("counted", options=LOGGING)
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(TYPES))
    values = ", ".join(TYPES.values())
    server.execute(
        "DROP DATABASE IF EXISTS d",
        "CREATE DATABASE d",
        f"SET GLOBAL log_bin_compress = {compressed}",
        "RESET MASTER",
    )
    server.execute(
        f"CREATE TABLE d.w ({columns})",
        f"INSERT INTO d.w VALUES ({values}), ({values})",
        "INSERT INTO d.w (c0) VALUES (7)",
        "UPDATE d.w SET c16 = NULL WHERE c0 = 1",
        "DELETE FROM d.w",
        "CREATE USER 'someone' IDENTIFIED BY 'secret'",
        "DROP USER 'someone'",
        "SET GLOBAL log_bin_compress = 0",
        "DROP DATABASE d",
    )
    path = server.place.directory / "mariadb-bin.000001"
    log = Log(
        path.parent,
        [("mariadb-bin", FILE_SPAN, FILE_SPAN + path.stat().st_size)],
        FILE_SPAN,
    )
    listed = list(log_changes.changes(log, Guard(SystemClock())))
    assert [change.tables for change in listed if change.tables] == [
        [TableChange("d", "w", inserted=2)],
        [TableChange("d", "w", inserted=1)],
        [TableChange("d", "w", updated=2)],
        [TableChange("d", "w", deleted=3)],
        [TableChange("d", "*", removed=True)],
    ]
    statements = [change.statement for change in listed if change.defines]
    assert statements[1:] == ["", "", "DROP DATABASE d"]  # nothing that may hold a password
    assert statements[0].startswith("CREATE TABLE d.w (c0 INT, ")


@pytest.mark.parametrize("major", [14, 15, pytest.param(16, marks=pytest.mark.slow), 18])
def test_postgresql_of_each_major(
    start_postgres: Callable[[int, str], PostgresServer],
    major: int,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    server = start_postgres(major, "oldest" if major == 14 else "blank")

    def position() -> int:
        return int(server.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])

    server.execute("DROP TABLE IF EXISTS wide, plain")
    # Any checkpoint, a late one of another test, too, removes files before it but for a slot's.
    server.execute("SELECT pg_create_physical_replication_slot('read_here', true)")
    request.addfinalizer(lambda: server.execute("SELECT pg_drop_replication_slot('read_here')"))
    start = position()
    server.execute("CHECKPOINT")
    server.execute("CREATE TABLE wide (n int PRIMARY KEY, note text)")
    server.execute("CREATE TABLE plain AS SELECT g n FROM generate_series(1, 1000) g")
    server.execute(
        "INSERT INTO wide SELECT g, repeat(md5(g::text), 500) FROM generate_series(1, 50) g"
    )
    names = wal_changes.names(server.address)
    server.execute(
        "DO $$ BEGIN UPDATE wide SET note = 'x' WHERE n <= 10; BEGIN DELETE FROM plain;"
        " RAISE 'no'; EXCEPTION WHEN OTHERS THEN DELETE FROM plain WHERE n > 990; END; END $$"
    )
    server.execute("TRUNCATE plain")
    server.execute("DROP TABLE wide")
    # So many that some of them lie on two pages.
    server.execute("SELECT pg_create_restore_point('point ' || g) FROM generate_series(1, 300) g")
    end = position()
    server.execute("SELECT pg_switch_wal()")
    ((segment, line),) = server.execute(
        "SELECT setting::int, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
        " FROM pg_settings WHERE name = 'wal_segment_size'"
    )
    # As an archive has them: the server's directory holds files that are not begun, too.
    for begin in range(start - start % segment, end, segment):
        name = file_name(line, begin, segment)
        shutil.copy(server.place.directory / "pg_wal" / name, tmp_path)
    log = Log(tmp_path, [(line, start, end)], segment)

    def changes(known: FileNames) -> list[Change]:
        read = wal_changes.changes(
            server.engine.tools_dir, str(major), log, known, Guard(SystemClock())
        )
        return [change for change in read if change.tables or change.point]

    database = server.execute("SELECT current_database()")[0][0]

    def table(name: str, *counts: int, removed: bool = False) -> TableChange:
        return TableChange(database, name, *counts, removed=removed)

    listed = changes(names)
    points = [listed.pop() for change in [*listed] if change.point]
    assert [point.point for point in points] == [f"point {n}" for n in range(300, 0, -1)]
    instants = [point.commit.instant for point in points]
    assert instants == sorted(instants, reverse=True)
    assert 0 <= instants[-1] - listed[-1].commit.instant < 600_000
    assert [change.tables for change in listed] == [
        [table("public.plain", 1000)],
        [table("public.wide", 50)],
        [table("public.wide", 0, 10), table("public.plain", 0, 0, 10)],
        [table("public.plain", removed=True)],
        [table("public.wide", removed=True)],
    ]
    assert all(change.is_whole for change in listed)
    # Without names the numbers of files are shown, those of indexes and long values, too.
    [unnamed] = [c for c in changes(FileNames()) if c.commit == listed[0].commit]
    assert unnamed.tables[0].table.isdecimal()
    assert unnamed.tables[0].inserted == 1000
