"""Not collected by name: `test_ended_runs.py` runs it with pytest, and ends that pytest."""

import os
import subprocess
import sys
import time
from pathlib import Path

from fixtures.installation import Installation, installation_home, running
from fixtures.reaper import RUN_DIRECTORY


class StartedInstallation(Installation):
    forked = False


def test_servers_run_until_the_run_is_ended(tmp_path: Path) -> None:
    forgotten = [sys.executable, "-c", "import time; time.sleep(600)", "forgotten"]
    with (
        installation_home() as home,
        running(StartedInstallation(home)) as installation,
        subprocess.Popen(forgotten, cwd=tmp_path, env={}, start_new_session=True),
    ):
        installation.manage_first("Endless")
        print(f"\nREADY {os.environ[RUN_DIRECTORY]} {tmp_path}", flush=True)
        time.sleep(600)
