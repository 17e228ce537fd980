"""A run of tests that is ended on the way leaves no process and no directory behind."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fixtures.holdfast import await_that
from fixtures.reaper import processes_of

ENDLESS = Path(__file__).with_name("endless_run.py")
STARTED = {"holdfast serve", "postgres", "forgotten"}


def _processes(directories: list[str]) -> dict[psutil.Process, str]:
    """The living ones of a run, and their command lines."""
    processes: dict[psutil.Process, str] = {}
    for pid in processes_of(directories):
        with suppress(psutil.NoSuchProcess):  # PostgreSQL's workers come and go
            process = psutil.Process(pid)
            processes[process] = " ".join(process.cmdline())
    return processes


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # one that waits for PID 1 has ended
    except psutil.NoSuchProcess:
        return False


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_nothing_outlives_a_run_that_is_ended(number: signal.Signals) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", str(ENDLESS)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        ready = next((line for line in run.stdout if line.startswith("READY ")), "")
        assert ready, "it ended before its servers ran"
        directories = [word.rstrip("/") for word in ready.split()[1:]]
        started = _processes(directories)
        programs = " ".join(started.values())
        assert [name for name in STARTED if name not in programs] == []
        run.send_signal(number)
    await_that(lambda: not processes_of(directories), 60, lambda: str(_processes(directories)))
    assert {process: line for process, line in started.items() if _alive(process)} == {}
    await_that(lambda: not Path(directories[0]).exists(), 10)
