"""The demonstration itself: it tells equal from not equal, and leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SIZE = ("--size", "15MB")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Passable for the databases' user, and empty again at the end of each test."""
    home = Path(tempfile.mkdtemp(prefix="demo-"))
    home.chmod(0o711)
    yield home
    left = [str(path) for path in home.iterdir()]
    shutil.rmtree(home)
    assert (left, _servers_in(home)) == ([], [])


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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_a_directory_nobody_may_pass_is_refused_at_once(scratch: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root hands its servers to another user")
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    try:
        demo = started(scratch, "--data-dir", str(closed / "data"))
        assert f"{closed} lets nobody but root pass" in " ".join(ended(demo).split())
        assert demo.returncode == 2
    finally:
        shutil.rmtree(closed)


@pytest.mark.slow
def test_a_failure_shows_the_servers_own_words(scratch: Path) -> None:
    """Its first start finds a data directory that is no directory."""
    (scratch / "data").mkdir(mode=0o711)
    demo = started(scratch, "--data-dir", str(scratch / "data"))
    for _ in range(600):
        if (scratch / "data" / "holdfast.db").exists() or demo.poll() is not None:
            break
        time.sleep(0.05)
    (scratch / "data" / "addons").rmdir()
    (scratch / "data" / "addons").write_text("in the way")
    out = ended(demo)
    assert demo.returncode == 2, out
    assert "FAILED" in out
    assert f"The end of {scratch}/data/server.log" in out
    assert '"event"' in out


@pytest.mark.parametrize("size", ["0", "much", "-3GB"])
def test_a_size_that_is_none_is_refused(scratch: Path, size: str) -> None:
    demo = started(scratch, f"--size={size}")
    assert "is no size" in ended(demo)
    assert demo.returncode == 2
