"""Killed at any moment, a writer or a prune leaves a repository that the stock tool finds sound."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.kit.seal import Secret
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.locks import exclusively
from holdfast.repositories.restic.read.materialise import materialise
from holdfast.repositories.restic.repository import ensure_repository, open_repository
from holdfast.repositories.restic.upkeep.pruning import prune
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options

WORKER = Path(__file__).with_name("repository_worker.py")
PASSWORD = "killed at dawn"
BODY = random.Random(1).randbytes(300_000)


def killed(directory: Path, seed: int, wait: float) -> list[str]:
    """Runs the worker, kills it `wait` seconds after it opened; what it said it had kept."""
    environment = {**os.environ, "PASSWORD": PASSWORD}
    with subprocess.Popen(
        [sys.executable, str(WORKER), str(directory), str(seed)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(wait)
        assert child.poll() is None, "it ended by itself"
        child.kill()
        return child.stdout.read().split()


def restic(directory: Path, *words: str) -> None:
    done = subprocess.run(
        ["restic", "--no-cache", *words],
        env={
            **os.environ,
            "RESTIC_REPOSITORY": str(directory / "r"),
            "RESTIC_PASSWORD": PASSWORD,
            "HOME": str(directory),
        },
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def kill_again_and_again(home: Path, times: int, seed: int) -> None:
    directory = home / "store"
    directory.mkdir()
    store = LocalStore(Options(directory=directory))
    repository = ensure_repository(store, "r/", Secret(PASSWORD), time.time_ns())
    writer = SnapshotWriter(repository, 8192)
    file = writer.file(b"treasure", 0o600, 0)
    file.write(BODY)
    file.close()
    treasure = repository.keep(Snapshot(0, writer.flush(), "h", ["/"], []))
    chance = random.Random(seed)
    said: list[str] = []
    for number in range(times):
        said += killed(directory, seed + number, chance.random() * 0.8)
        again = open_repository(store, "r/", Secret(PASSWORD))
        found = {each.id for each in again.snapshots()}
        assert treasure in found
        for each in found:
            target = home / f"{number}-{each}"
            target.mkdir()
            materialise(again, again.snapshot(each).tree, target, lambda _: None)
        assert (home / f"{number}-{treasure}" / "treasure").read_bytes() == BODY
    assert "kept" in said, "every writer died before it had written anything"
    with exclusively(again, time.time_ns()):
        prune(again, lambda _: None)
    assert prune(again, lambda _: None).packs == 0
    restic(directory, "check", "--read-data")


def test_five_kills(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 5, seed=7)


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 100, seed=100)
