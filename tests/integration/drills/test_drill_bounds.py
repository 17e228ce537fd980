"""A drill ends when its time is over."""

import sqlite3
from contextlib import closing

from fixtures.drills import DrillInstallation
from fixtures.installation import installation_home, running


def test_a_drill_that_takes_too_long_is_ended_and_leaves_nothing() -> None:
    """Without a verdict: that says nothing of the backup."""
    with installation_home() as home:
        files = home / "files"
        files.mkdir(mode=0o755)
        with closing(sqlite3.connect(files / "shop.db")) as connection:
            connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        settings = {"HOLDFAST_SQLITE_ROOTS": str(files), "HOLDFAST_DRILL_HOURS": "0.0000001"}
        with running(DrillInstallation(home, settings)) as installation:
            project = installation.api.project()
            body = {
                "name": "Shop",
                "type": "sqlite",
                "connectionString": f"sqlite://{files}/shop.db",
            }
            addon = installation.api.post(f"/projects/{project}/addons", body).data["id"]
            path = f"/projects/{project}/addons/{addon}"
            installation.backup(path, backupType="dump")
            drill = installation.drill(path)
            assert (drill["status"], drill.get("verdict")) == ("failed", None)
            told = installation.told(drill, path)
            assert "the drill took longer than 0 s (HOLDFAST_DRILL_HOURS)" in told
            assert installation.throwaways() == []
