"""Whoever may write beside a database cannot make Holdfast open another file in its place."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.domain.errors import AddonRefused, AddonUnavailable, Failure
from holdfast.engines.sqlite.client import file_handles, location
from holdfast.engines.sqlite.client.location import opened
from holdfast.engines.sqlite.physical.file_copy import read_transaction
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard


def database(path: Path, word: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(f"CREATE TABLE t(word); INSERT INTO t VALUES ('{word}');")
    connection.close()
    return path


def word(path: Path) -> str:
    with opened(path) as session:
        return str(session.execute("SELECT word FROM t").fetchone()[0])


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return database(tmp_path / "files" / "app" / "a.db", "mine")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return database(tmp_path / "elsewhere" / "app" / "a.db", "secret")


def linked_file(mine: Path, secret: Path) -> None:
    mine.unlink()
    mine.symlink_to(secret)


def linked_directory(mine: Path, secret: Path) -> None:
    mine.parent.rename(mine.parent.with_name("before"))
    mine.parent.symlink_to(secret.parent)


SWAPS = pytest.mark.parametrize("swap", [linked_file, linked_directory])


@SWAPS
def test_no_link_is_followed(mine: Path, secret: Path, swap: Callable[[Path, Path], None]) -> None:
    assert word(mine) == "mine"
    swap(mine, secret)
    with pytest.raises(AddonRefused, match="link"):
        word(mine)


@SWAPS
def test_a_link_that_comes_between_the_look_and_the_opening_gains_nothing(
    mine: Path,
    secret: Path,
    swap: Callable[[Path, Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = sqlite3.connect

    def late(*arguments: object, **options: object) -> sqlite3.Connection:
        if not (mine.is_symlink() or mine.parent.is_symlink()):
            swap(mine, secret)
        return real(*arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(location.sqlite3, "connect", late)
    monkeypatch.setattr(file_handles, "_PAUSE_SECONDS", 0)
    with pytest.raises(AddonUnavailable, match="another file"):
        word(mine)


def test_somebody_who_swaps_all_the_time_gains_nothing(mine: Path, secret: Path) -> None:
    over, here = threading.Event(), mine.parent
    before, link = here.with_name("before"), here.with_name("link")

    def swap() -> None:
        while not over.is_set():
            link.symlink_to(secret.parent)
            here.rename(before)
            link.rename(here)
            here.unlink()
            before.rename(here)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set[str]()
    try:
        for _ in range(300):
            try:
                seen.add(word(mine))
            except Failure:
                seen.add("refused")
    finally:
        over.set()
        thread.join()
    assert "secret" not in seen
    assert word(mine) == "mine"


def test_the_copy_is_of_the_file_that_is_held(mine: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with read_transaction(mine) as source:
        source.copy(target, Guard(SystemClock()))
    assert word(target) == "mine"


def test_a_copy_of_a_file_that_was_replaced_is_refused(
    mine: Path, secret: Path, tmp_path: Path
) -> None:
    with read_transaction(mine) as source:
        secret.replace(mine)
        with pytest.raises(AddonUnavailable, match="was replaced"):
            source.copy(tmp_path / "copy.db", Guard(SystemClock()))


def test_many_connections_to_one_file_are_told_apart(mine: Path) -> None:
    """Also when SQLite keeps a descriptor for later because another connection holds a lock."""
    with opened(mine) as first:
        first.execute("BEGIN")
        first.execute("SELECT * FROM t").fetchone()
        for _ in range(5):
            assert word(mine) == "mine"
        first.rollback()
