"""The board in `deploy/grafana`, and the Prometheus configuration in `deploy/prometheus`."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fixtures.archived_postgres import INTERVAL
from fixtures.bodies import WEEKLY, ZSTD_DUMP
from fixtures.drills import DrillInstallation
from fixtures.holdfast import FAST, HOLDFAST, Api, await_that, free_port, fresh
from fixtures.installation import installation_home, running
from fixtures.monitored import BOARD, EXAMPLE, RULES, alerts, expressions, prometheus, promtool

EMPTY_WHEN_WELL = {"Lost copies of the newest good backup A", "Open operations A"}


def test_expressions_of_the_board_can_be_read(tmp_path: Path) -> None:
    """As rules that record: `promtool` of Debian reads expressions nowhere else."""
    recorded = [
        {"record": f"board:{number}", "expr": expression}
        for number, expression in enumerate(expressions().values())
    ]
    assert len(recorded) > 25
    path = tmp_path / "board.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": recorded}]}))
    promtool("check", "rules", str(path))


def test_the_example_of_a_configuration_can_be_read(tmp_path: Path) -> None:
    config = EXAMPLE.read_text().replace("/etc/prometheus/holdfast.token", str(tmp_path / "token"))
    (tmp_path / "token").write_text("secret")
    (tmp_path / "prometheus.yml").write_text(config)
    (tmp_path / RULES.name).write_text(RULES.read_text())
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


@pytest.mark.sqlite_first
@pytest.mark.parametrize("path", [BOARD, RULES], ids=["board", "rules"])
def test_only_metrics_that_there_are_are_asked_for(path: Path, api: Api) -> None:
    """Names are told also of what has no value now."""
    body = api.based("").raw("GET", "/metrics").text
    used = set(re.findall(r"\b(?:holdfast|process)_\w+", path.read_text()))
    assert len(used) > 10
    told = set(re.findall(r"^# TYPE (\w+)", body, re.MULTILINE))
    histograms = {f"{name}{end}" for name in told for end in ("_sum", "_count", "_bucket")}
    assert used - told - histograms == set()


def test_panels_are_where_they_do_not_overlap() -> None:
    board = json.loads(BOARD.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.slow
def test_every_query_has_an_answer_from_a_real_prometheus(tmp_path: Path) -> None:
    """With an addon that is planned, backed up and drilled, one without a plan, one whose log is
    archived, and a scheduler of its own."""
    (tmp_path / "files").mkdir()
    with sqlite3.connect(tmp_path / "files" / "shop.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)")
        database.execute("INSERT INTO orders (what) VALUES ('one')")
    settings = {"HOLDFAST_SQLITE_ROOTS": str(tmp_path / "files")}
    with (
        installation_home() as home,
        running(DrillInstallation(home, settings)) as installed,
    ):
        process_port = free_port()
        scheduler = start_scheduler(installed, process_port)
        try:
            prepare(installed, tmp_path / "files" / "shop.db")
            token = installed.data_dir / "owner.token"
            api_port = int(installed.server.url.rpartition(":")[2])
            ports = {"holdfast": api_port, "holdfast-processes": process_port}
            with prometheus(tmp_path / "prometheus", token, ports) as asked:
                await_that(lambda: len(asked.ask("up == 1")) == 2)
                for title, expression in expressions().items():
                    if title in EMPTY_WHEN_WELL:
                        asked.ask(expression)
                        continue
                    await_that(
                        lambda expression=expression: asked.ask(expression), why=lambda t=title: t
                    )
                groups = asked.get("rules")["groups"]
                rules = [rule for group in groups for rule in group["rules"]]
                assert {rule["health"] for rule in rules} == {"ok"}
                assert len(rules) == len(alerts())
                assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
        finally:
            scheduler.terminate()
            scheduler.wait(60)


def start_scheduler(installed: DrillInstallation, port: int) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, **FAST, "HOLDFAST_METRICS_PORT": str(port)}
    argv = [sys.executable, HOLDFAST, "scheduler", "--data-dir", str(installed.data_dir)]
    with (installed.home / "scheduler.log").open("wb") as out:
        return subprocess.Popen(argv, env=environment, stdout=out, stderr=out)


def prepare(installed: DrillInstallation, file: Path) -> None:
    api = installed.api
    project = api.project()
    addons = f"/projects/{project}/addons"
    body = {"type": "sqlite", "connectionString": f"sqlite://{file}"}
    api.post(addons, {"name": fresh("Forgotten"), **body})
    installed.manage_first(fresh("Archived"))
    assert api.post(f"{installed.addon}/archive", INTERVAL).data["enabled"]
    addon = f"{addons}/{api.post(addons, {'name': fresh('Shop'), **body}).data['id']}"
    schedule = {**ZSTD_DUMP, "scheduling": WEEKLY, "retentionTime": 20}
    assert api.post(f"{addon}/backup-schedules", schedule).status == 200
    installed.backup(addon, **ZSTD_DUMP)
    assert installed.drill(addon)["verdict"] == "passed"
