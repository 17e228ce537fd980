"""Not collected by name: `test_ended_runs.py` runs it with pytest, and ends that pytest."""

import os
import time
from pathlib import Path

from fixtures.debian_postgres import Database
from fixtures.installation import Installation, installation_home, running
from fixtures.reaper import RUN_DIRECTORY
from fixtures.redis_servers import running_redis


def test_servers_run_until_the_run_is_ended(debian_postgres: Database, tmp_path: Path) -> None:
    with (
        installation_home() as home,
        running(Installation(home)) as installation,
        running(Installation(tmp_path)),
        running_redis("redis"),
    ):
        installation.manage_first("Endless")
        assert debian_postgres.run("SELECT 1") == [(1,)]
        print(f"\nREADY {os.environ[RUN_DIRECTORY]} {tmp_path}", flush=True)
        time.sleep(600)
