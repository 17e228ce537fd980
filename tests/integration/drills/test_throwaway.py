"""Directories of throwaway servers, while sweepers of the same machine come at every moment."""

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.usecases.hosting import throwaway


class _NoEngine:
    """An engine whose servers are not ours to run."""


@dataclass(frozen=True)
class _Tools:
    data_dir: Path

    def engines(self, kind: str) -> _NoEngine:
        return _NoEngine()

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the directories of drills need no {name}")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Tools:
    monkeypatch.setattr(throwaway, "lent_uid", lambda tools: threading.Lock())
    return _Tools(tmp_path)


def test_a_sweep_never_takes_a_directory_in_use(tools: _Tools) -> None:
    over = threading.Event()
    swept: list[int] = []

    def sweep() -> None:
        while not over.is_set():
            swept.append(throwaway.sweep(tools))

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    try:
        for number in range(300):
            with throwaway.home(tools, "none", f"drill{number}.1") as home:
                (home.directory / "data").mkdir()
                assert (home.directory / "kind").read_text() == "none"
    finally:
        over.set()
        for sweeper in sweepers:
            sweeper.join()
    assert sum(swept) == 0
    throwaway.sweep(tools)
    assert list((tools.data_dir / "drills").iterdir()) == []


def test_what_dead_drills_left_is_removed(tools: _Tools) -> None:
    drills = tools.data_dir / "drills"
    (drills / "unlocked.1" / "data").mkdir(parents=True)
    (drills / "dead.1").mkdir()
    for name in ("dead.1.lock", "gone.1.lock"):
        (drills / name).touch()
    assert throwaway.sweep(tools) == 2
    assert list(drills.iterdir()) == []
