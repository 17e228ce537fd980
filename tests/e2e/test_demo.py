"""The demonstration itself: it tells equal from not equal, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SIZE = ("--size", "15MB")


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Passable for the databases' user, and empty again at the end of each test."""
    home = tmp_path_factory.mktemp("demo")
    for each in (home, *home.parents[:2]):
        each.chmod(0o711)
    yield home
    assert not list(home.iterdir()), "something was left behind"
    assert _servers_in(home) == []


def _servers_in(home: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(home) in word for word in process.info["cmdline"] or [])
    ]


def started(scratch: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *SIZE, *more],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(demo: "subprocess.Popen[str]") -> str:
    out, _ = demo.communicate(timeout=240)
    return out


def test_it_ends_with_equal_and_says_what_was_checked(scratch: Path) -> None:
    demo = started(scratch)
    out = ended(demo)
    assert demo.returncode == 0, out
    assert "EQUAL: the restored copy is what was backed up." in out
    assert "4 of 4 stored files have the recorded sha256" in out
    assert re.search(r"rows +([0-9,]+) +\1 +equal", out)
    assert len(re.findall(r"\b[0-9a-f]{64}\b", out)) == 4


def test_one_altered_row_is_not_equal(scratch: Path) -> None:
    demo = started(scratch, "--sabotage")
    out = ended(demo)
    assert demo.returncode == 1, out
    assert "NOT EQUAL: 1 differences" in out
    assert "shop.review" in out


def test_an_interrupt_stops_the_servers_and_removes_the_data(scratch: Path) -> None:
    demo = started(scratch)
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("-- Filling"):
            break
    assert _servers_in(scratch)
    demo.send_signal(signal.SIGINT)
    out = ended(demo)
    assert demo.returncode == 130, out


def test_kept_it_goes_on_and_says_how_to_stop_it(scratch: Path) -> None:
    home = scratch / "kept"
    demo = started(scratch, "--keep", "--data-dir", str(home))
    out = ended(demo)
    try:
        assert demo.returncode == 0, out
        assert f"login --host http://127.0.0.1:{_port(out)} --token-file {home}/owner.token" in out
        again = started(scratch, "--keep", "--data-dir", str(home))
        assert "is there already" in ended(again)
        assert again.returncode == 2
    finally:
        pid = re.search(r"stop +kill (\d+)", out)
        assert pid is not None, out
        _stop(int(pid[1]))
        subprocess.run(["rm", "-r", str(home)], check=True)


def _port(out: str) -> str:
    found = re.search(r"URL +http://127\.0\.0\.1:(\d+)", out)
    assert found is not None, out
    return found[1]


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the kept server does not stop"
        time.sleep(0.05)


def test_a_failure_shows_the_servers_own_words(scratch: Path) -> None:
    demo = started(scratch, "--data-dir", str(scratch / "file"))
    out = ended(demo)
    assert demo.returncode == 0, out  # a chosen directory is made, used and removed


@pytest.mark.parametrize("size", ["0", "much", "-3GB"])
def test_a_size_that_is_none_is_refused(scratch: Path, size: str) -> None:
    demo = started(scratch, f"--size={size}")
    assert "is no size" in ended(demo) or demo.returncode == 2
