"""A drill that no worker takes says so, and begins when one does."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from fixtures.holdfast import OVER, Server, await_backup, await_that, start_holdfast


def run(server: Server, home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "HOLDFAST_HOST": server.url,
        "HOLDFAST_TOKEN": server.token,
        "HOME": str(home),
    }
    program = str(Path(sys.executable).with_name("holdfast"))
    return subprocess.run(
        [program, *words], check=False, env=environment, capture_output=True, text=True
    )


def test_it_waits_aloud_until_a_worker_takes_drills(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    with closing(sqlite3.connect(files / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    roots = {"HOLDFAST_SQLITE_ROOTS": str(files)}
    server = start_holdfast(tmp_path, forked=True, HOLDFAST_DRILLS="0", **roots)
    try:
        api = server.api()
        project = api.project()
        body = {"name": "Shop", "type": "sqlite", "connectionString": f"sqlite://{files}/shop.db"}
        addon = api.post(f"/projects/{project}/addons", body).data["id"]
        path = f"/projects/{project}/addons/{addon}"
        dump = {"backupType": "dump", "compressionType": "gz"}
        await_backup(api, f"{path}/backups/{api.post(f'{path}/backups', dump).data['id']}")
        names = ("-p", project, "-a", addon)
        ordered = run(server, tmp_path, "drill", "run", *names)
        assert "it waits: no worker takes drills: HOLDFAST_DRILLS is 0" in ordered.stderr
        waited = run(server, tmp_path, "drill", "list", *names, "-o", "json").stdout
        assert '"reason"' in waited
        (drill,) = api.get(f"{path}/drills").data["drills"]
        assert drill["status"] == "scheduled"
    finally:
        server.stop()
    server = start_holdfast(tmp_path, forked=True, HOLDFAST_DEAD="3", **roots)
    try:
        shown = f"{path}/drills/{drill['id']}"
        await_that(lambda: server.api().get(shown).data["status"] in OVER)
        assert server.api().get(shown).data["verdict"] == "passed"
    finally:
        server.stop()
