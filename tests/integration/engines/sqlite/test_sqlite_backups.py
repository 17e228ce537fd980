"""Dumps and snapshots of SQLite files that others use, and what comes back from them."""

import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.holdfast import await_that
from fixtures.postgres import a_guard
from fixtures.sqlite_data import VALUES, fingerprint, make
from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.engine import Address, Dumpable
from holdfast.contracts.files import Rooted
from holdfast.contracts.local_servers import FOREIGN, Hostable
from holdfast.contracts.snapshots import Snapshottable
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    Interrupted,
    PreflightRefused,
)
from holdfast.engines.sqlite import create
from holdfast.engines.sqlite.client import scratch
from holdfast.kit.seal import Secret


def test_it_has_the_capabilities_it_claims(sqlite_files: SqliteFiles) -> None:
    for capability in (Dumpable, Rooted, Snapshottable):
        assert isinstance(sqlite_files.engine, capability)
    assert not isinstance(sqlite_files.engine, Hostable)


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_a_dump_brings_everything_back(sqlite_files: SqliteFiles, encoding: str, wal: bool) -> None:
    make(sqlite_files.home / "a.db", wal=wal, encoding=encoding)
    before = fingerprint(sqlite_files.home / "a.db")
    taken = sqlite_files.take("a.db")
    rows = {table.name: table.rows for table in taken.dump.inventory.tables}
    assert rows["plain"] == len(VALUES) - 1 + (encoding == "UTF-8")
    assert rows["pairs"] == 300
    found = sqlite_files.engine.examine(taken.dump.members[0], taken.fetch("main.sql"))
    assert found["tableData"] == len(rows)
    (sqlite_files.home / "b.db").touch()
    sqlite_files.put(taken, "b.db")
    assert fingerprint(sqlite_files.home / "b.db") == before
    with closing(sqlite3.connect(sqlite_files.home / "a.db")) as session:
        session.execute("DELETE FROM plain")
        session.execute("DROP VIEW many")
        session.commit()
    sqlite_files.put(taken, "a.db", "another")
    assert fingerprint(sqlite_files.home / "a.db") == before


def test_the_stock_shell_opens_a_dump(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db")
    before = fingerprint(sqlite_files.home / "a.db")
    taken = sqlite_files.take("a.db")
    script = taken.plain["main.sql"]
    assert script.endswith(b"COMMIT;\n")
    made = sqlite_files.home / "shell.db"
    argv = ["sqlite3", "-bail", made]
    done = subprocess.run(argv, input=script, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert fingerprint(made) == before


@pytest.mark.parametrize("wal", [False, True])
def test_a_snapshot_is_the_file_copy_by_pages(sqlite_files: SqliteFiles, wal: bool) -> None:
    make(sqlite_files.home / "a.db", wal=wal)
    before = fingerprint(sqlite_files.home / "a.db")
    copied = sqlite_files.copy("a.db")
    assert fingerprint(copied) == before
    assert sqlite_files.facts["rows"]["hidden_rowids"] == 302
    assert sqlite_files.facts["bytes"] == copied.stat().st_size
    assert "ok" in sqlite_files.facts["proven"]["integrity_check"]
    stock = subprocess.run(
        ["sqlite3", copied, "PRAGMA integrity_check"], capture_output=True, check=True
    )
    assert stock.stdout == b"ok\n"


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("how", ["dump", "snapshot", "paced snapshot"])
def test_others_write_meanwhile_and_nothing_is_torn(
    sqlite_files: SqliteFiles, wal: bool, how: str
) -> None:
    """A writer numbers its transactions; what is taken must hold a prefix of them."""
    path = sqlite_files.home / "busy.db"
    with closing(sqlite3.connect(path)) as session:
        session.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        session.executescript("CREATE TABLE t (n INTEGER PRIMARY KEY, x); CREATE TABLE last (n)")
        session.execute("INSERT INTO last VALUES (0)")
        session.execute(
            "WITH RECURSIVE c(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM c WHERE g < 4000)"
            " INSERT INTO t SELECT -g, randomblob(500) FROM c"
        )
        session.commit()
    acknowledged, stop = [0], threading.Event()

    def work() -> None:
        with closing(sqlite3.connect(path, timeout=60)) as writer:
            writer.execute("PRAGMA synchronous=OFF")
            while not stop.is_set():
                number = acknowledged[0] + 1
                writer.execute("INSERT INTO t VALUES (?, randomblob(300))", [number])
                writer.execute("UPDATE last SET n = ?", [number])
                writer.commit()
                acknowledged[0] = number

    thread = threading.Thread(target=work)
    thread.start()
    try:
        while acknowledged[0] < 50:
            time.sleep(0.005)
        before = acknowledged[0]
        if how == "dump":
            (sqlite_files.home / "out.db").touch()
            sqlite_files.put(sqlite_files.take("busy.db"), "out.db")
            copied = sqlite_files.home / "out.db"
        else:
            copied = sqlite_files.copy("busy.db", 4096 if how == "paced snapshot" else None)
        after = acknowledged[0]
        await_that(lambda: acknowledged[0] > before)
    finally:
        stop.set()
        thread.join()
    with closing(sqlite3.connect(copied)) as session:
        (last,) = session.execute("SELECT n FROM last").fetchone()
        counted = session.execute("SELECT count(*), max(n) FROM t WHERE n > 0").fetchone()
    assert before <= last <= after
    assert counted == (last, last)


def test_open_connections_survive_a_restore(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db", wal=True)
    taken = sqlite_files.take("a.db")
    inode = (sqlite_files.home / "a.db").stat().st_ino
    with closing(sqlite3.connect(sqlite_files.home / "a.db")) as other:
        other.execute("DELETE FROM hidden_rowids")
        other.commit()
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM hidden_rowids").fetchone() == (0,)
        other.commit()
        sqlite_files.put(taken, "a.db")
        assert other.execute("SELECT count(*) FROM hidden_rowids").fetchone() == (302,)
        other.execute("INSERT INTO hidden_rowids VALUES ('after')")
        other.commit()
    assert (sqlite_files.home / "a.db").stat().st_ino == inode
    assert sqlite_files.engine.inventory(sqlite_files.at("a.db")) != taken.dump.inventory


def test_a_locked_file_stays_as_it_was(
    sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.engines.sqlite.physical.file_copy.BUSY_SECONDS", 0.5)
    monkeypatch.setattr("holdfast.engines.sqlite.client.location.BUSY_SECONDS", 0.5)
    make(sqlite_files.home / "a.db")
    taken = sqlite_files.take("a.db")
    with closing(sqlite3.connect(sqlite_files.home / "a.db", isolation_level=None)) as other:
        other.execute("DELETE FROM pairs")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AddonUnavailable, match="locked"):
            sqlite_files.put(taken, "a.db")
        other.execute("ROLLBACK")
        assert other.execute("SELECT count(*) FROM pairs").fetchone() == (0,)
    assert (
        sqlite_files.engine.discard(sqlite_files.at("a.db"), sqlite_files.log.attempt())
        == "the file is as it was"
    )


def test_a_repeated_swap_does_not_undo_what_others_wrote(
    sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(sqlite_files.home / "a.db")
    taken, attempt = sqlite_files.take("a.db"), sqlite_files.log.attempt("twice")
    address = sqlite_files.at("a.db")
    sqlite_files.engine.stage(address, taken.dump, taken.fetch, attempt, a_guard())

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", die)  # right after the content was replaced
        with pytest.raises(KeyboardInterrupt):
            sqlite_files.engine.swap(address, taken.dump, attempt, a_guard())
    with closing(sqlite3.connect(sqlite_files.home / "a.db")) as other:
        other.execute("INSERT INTO hidden_rowids VALUES ('since then')")
        other.commit()
    for _ in range(2):
        sqlite_files.engine.swap(address, taken.dump, attempt, a_guard())
    with closing(sqlite3.connect(sqlite_files.home / "a.db")) as other:
        query = "SELECT count(*) FROM hidden_rowids WHERE v = 'since then'"
        assert other.execute(query).fetchone() == (1,)
    assert sqlite_files.engine.discard(address, attempt) == "the restored data is in place"
    assert not sqlite_files.engine.room(attempt).exists()


HOSTILE = {
    "another file": ("ATTACH '/tmp/holdfast-hostile.db' AS x;", "not authorized"),
    "by vacuum": ("COMMIT; VACUUM INTO '/tmp/holdfast-hostile.db';", "one statement at a time"),
    "by vacuum alone": ("COMMIT;\nVACUUM INTO '/tmp/holdfast-hostile.db';", "authorization denied"),
    "a library": ("SELECT load_extension('/tmp/x.so');", "not authorized"),
    "a shell's command": (".shell touch /tmp/holdfast-hostile.db", "syntax error"),
    "a shell's function": ("SELECT writefile('/tmp/x', 'x');", "no such function"),
    "the schema itself": ("PRAGMA writable_schema=ON;", "not authorized"),
    "a directory": ("PRAGMA temp_store_directory='/tmp';", "not authorized"),
    "a module": ("CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd');", "not authorized"),
    "bytes of the file": ("CREATE VIRTUAL TABLE x USING sqlite_dbpage;", "not authorized"),
    "no end": ("CREATE TABLE t (a);", "does not end with COMMIT"),
    "half a statement": ("INSERT INTO t VALUES ('", "in the middle of a statement"),
    "no text": ("\0\x01\x02", "in the middle of a statement"),
}


@pytest.mark.parametrize(("bad", "why"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_or_torn_text_harms_nothing(
    sqlite_files: SqliteFiles, bad: str, why: str
) -> None:
    make(sqlite_files.home / "a.db", rows=3)
    before = fingerprint(sqlite_files.home / "a.db")
    taken = sqlite_files.take("a.db")
    whole = taken.plain["main.sql"]
    assert sqlite_files.engine.examine(taken.dump.members[0], iter([whole]))["rows"] > 40
    end = b"" if "end" in why or "middle" in why else b"COMMIT;\n"
    taken.plain["main.sql"] = whole.removesuffix(b"COMMIT;\n") + bad.encode() + b"\n" + end
    with pytest.raises(EvidenceMissing, match=why):
        sqlite_files.put(taken, "a.db")
    assert (
        sqlite_files.engine.discard(sqlite_files.at("a.db"), sqlite_files.log.attempt())
        == "the file is as it was"
    )
    assert fingerprint(sqlite_files.home / "a.db") == before
    assert not Path("/tmp/holdfast-hostile.db").exists()


def test_a_dump_of_another_project_may_not_ask_for_rows_without_end(
    sqlite_files: SqliteFiles,
) -> None:
    """Written by us, of a file that its owner could shape."""
    make(sqlite_files.home / "a.db")
    make(sqlite_files.home / "b.db")
    taken = sqlite_files.take("a.db")
    (member,) = taken.plain
    endless = (
        "INSERT INTO t SELECT n FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1"
        " FROM c) SELECT n FROM c);\nCOMMIT;\n"
    )
    taken.plain[member] = f"BEGIN TRANSACTION;\nCREATE TABLE t(a);\n{endless}".encode()
    taken.dump = replace(taken.dump, trusted=False)
    with pytest.raises(EvidenceMissing, match="asks for more work or room"):
        sqlite_files.put(taken, "b.db")


def test_a_snapshot_of_another_project_holds_no_unknown_module(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db")
    made = sqlite_files.copy("a.db")
    with closing(sqlite3.connect(made)) as session:
        session.execute("PRAGMA writable_schema=ON")
        session.execute(
            "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0,"
            " 'CREATE VIRTUAL TABLE v USING csv(filename=''/etc/passwd'')')"
        )
        session.commit()
    attempt = sqlite_files.log.attempt()
    room = sqlite_files.engine.room(attempt)
    shutil.copytree(made.parent.parent, room)
    with pytest.raises(EvidenceMissing, match="of a module that is not known"):
        sqlite_files.engine.accept(
            sqlite_files.at("a.db"), {**sqlite_files.facts, FOREIGN: True}, attempt, a_guard()
        )


def test_an_endless_text_can_be_stopped(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db", rows=3)
    taken = sqlite_files.take("a.db")
    endless = b"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) "
    taken.plain["main.sql"] += endless + b"SELECT count(*) FROM c;\n"
    guard = a_guard()
    timer = threading.Timer(0.3, lambda: guard.stop(Interrupted("aborted on request")))
    timer.start()
    with pytest.raises((Interrupted, EvidenceMissing)):
        sqlite_files.engine.stage(
            sqlite_files.at("a.db"), taken.dump, taken.fetch, sqlite_files.log.attempt(), guard
        )


def test_every_truncation_is_noticed(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db", rows=2)
    taken = sqlite_files.take("a.db")
    whole = taken.plain["main.sql"]
    for cut in (0, 5, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 2):
        with pytest.raises(EvidenceMissing):
            sqlite_files.engine.examine(taken.dump.members[0], iter([whole[:cut]]))


@pytest.fixture
def outside(sqlite_files: SqliteFiles, tmp_path: Path) -> Iterator[Path]:
    make(tmp_path / "secret.db", rows=1)
    return tmp_path / "secret.db"


def test_only_plain_files_below_the_roots_are_touched(
    sqlite_files: SqliteFiles, outside: Path
) -> None:
    (sqlite_files.home / "link.db").symlink_to(outside)
    (sqlite_files.home / "dir").symlink_to(outside.parent)
    (sqlite_files.home / "real").mkdir()
    (sqlite_files.home / "state.txt").write_text("no database, but longer than a header" * 10)
    for name, problem in (
        ("link.db", "symbolic link"),
        ("dir/secret.db", "symbolic link"),
        ("real", "not a regular file"),
        ("state.txt", "not a database"),
    ):
        with pytest.raises(AddonRefused, match=problem):
            sqlite_files.engine.probe(sqlite_files.at(name))
    with pytest.raises(AddonUnavailable, match="No such file"):
        sqlite_files.engine.probe(sqlite_files.at("absent.db"))
    with pytest.raises(AddonRefused, match="not below"):
        sqlite_files.engine.probe(sqlite_files.engine.parse(f"sqlite://{outside}"))
    with pytest.raises(AddonRefused, match="not below"):
        sqlite_files.engine.probe(
            Address("", 0, "", Secret(""), f"{sqlite_files.home}/../secret.db")
        )
    bare = create(sqlite_files.home.parent / "tools")
    make(sqlite_files.home / "a.db", rows=1)
    with pytest.raises(AddonRefused, match="--sqlite-roots"):
        bare.probe(sqlite_files.at("a.db"))
    bare.allow([sqlite_files.home.parent], sqlite_files.home)
    with pytest.raises(AddonRefused, match="belongs to Holdfast"):
        bare.probe(sqlite_files.at("a.db"))
    left = {path.name for path in sqlite_files.home.iterdir()}
    assert left == {"link.db", "dir", "real", "state.txt", "a.db"}


def test_a_file_that_cannot_be_written_is_no_target(
    sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(sqlite_files.home / "a.db", rows=1)
    taken = sqlite_files.take("a.db")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PreflightRefused, match="cannot be written"):
        sqlite_files.engine.preflight(sqlite_files.at("a.db"), taken.dump)


def test_copies_are_gone_before_the_next_one_and_after_a_death(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db", rows=3)
    tools, seen = sqlite_files.engine._tools_dir, list[str]()
    home = scratch.home(tools)
    with scratch.scratch(tools, "one") as room:
        (room / "copy.db").write_bytes(bytes(1 << 20))
    scratch.wait_for_removals()
    assert list(home.iterdir()) == []
    for name in ("gone-half", "gone-whole", "dead"):  # of a process that died on the way
        (home / name).mkdir()
        (home / name / "copy.db").write_bytes(b"x")
    (home / "gone-whole" / "lock").touch()
    (home / "dead" / "lock").touch()
    with scratch.scratch(tools, "one"), scratch.scratch(tools, "two"):
        seen += sorted(path.name for path in home.iterdir())
    assert seen == ["one", "two"]
    with scratch.scratch(tools, "one"):  # the same name, at once
        assert [path.name for path in home.iterdir()] == ["one"]
    sqlite_files.take("a.db")
    scratch.wait_for_removals()
    assert list(home.iterdir()) == []
