"""Drills through the API and the command line: what is shown, kept, ended and ordered."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fixtures.drills import DrillInstallation
from fixtures.holdfast import await_that, fresh
from fixtures.installation import installation_home, running


@pytest.fixture(scope="module")
def installation() -> Iterator[DrillInstallation]:
    with installation_home() as home, running(DrillInstallation(home, {})) as installation:
        installation.manage_first("Drills", "Orders")
        installation.sql("CREATE TABLE orders AS SELECT generate_series(1, 5000) AS id")
        installation.backup(backupType="dump")
        yield installation


def failed(drill: dict[str, Any]) -> dict[str, str]:
    return {f["name"]: f["found"] for f in drill["findings"] if f["verdict"] == "failed"}


def test_what_a_drill_found_is_shown(installation: DrillInstallation) -> None:
    drill = installation.drill(installation.addon)
    assert drill["verdict"] == "passed"
    assert drill["cause"] == "request"
    assert drill["version"].startswith("15.")
    path = f"{installation.addon}/drills/{drill['id']}"
    assert installation.api.get(path).data == drill
    told = [line["log"] for line in installation.api.get(f"{path}/logs").data]
    assert any(text.startswith("passed: objects and rows are those") for text in told)


def test_drills_are_listed_newest_first(installation: DrillInstallation) -> None:
    older, newer = (aborted_drill(installation) for _ in range(2))
    listed = installation.api.get(f"{installation.addon}/drills").data["drills"]
    assert [drill["id"] for drill in listed[:2]] == [newer, older]


def aborted_drill(installation: DrillInstallation) -> str:
    path = installation.begin_drill(installation.addon)
    installation.api.post(f"{path}/abort")
    return installation.await_drill(path)["id"]


def test_one_drill_of_an_addon_at_a_time(installation: DrillInstallation) -> None:
    path = installation.begin_drill(installation.addon, keepMinutes=10)
    headers = {"idempotency-key": fresh("key")}
    refused = installation.api.post(f"{installation.addon}/drills", {}, headers=headers)
    assert refused.status == 409
    assert "abort it or wait" in refused.error["message"]
    installation.api.post(f"{path}/abort")
    assert installation.await_drill(path)["status"] == "aborted"


def test_a_backup_is_taken_while_a_drill_runs(installation: DrillInstallation) -> None:
    path = installation.begin_drill(installation.addon, keepMinutes=10)
    await_that(lambda: installation.api.get(path).data.get("keptUntil"))
    installation.backup(backupType="dump")
    assert installation.api.get(path).data["status"] == "in-progress"
    installation.api.post(f"{path}/release")
    assert installation.await_drill(path)["verdict"] == "passed"


def test_a_kept_server_is_reached_and_given_up(installation: DrillInstallation) -> None:
    path = installation.begin_drill(installation.addon, keepMinutes=30)
    shown = await_that(lambda: (d := installation.api.get(path).data).get("keptUntil") and d)
    assert shown["verdict"] == "passed"
    server = installation.api.get(f"{path}/server").data
    with psycopg.connect(
        host=server["host"],
        port=server["port"],
        user=server["user"],
        password=server["password"],
        dbname=server["database"],
    ) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (5000,)
    assert installation.api.post(f"{path}/release").status == 200
    assert installation.await_drill(path)["status"] == "completed"
    assert installation.throwaways() == []
    assert installation.api.get(f"{path}/server").status == 409


def test_an_aborted_drill_leaves_nothing(installation: DrillInstallation) -> None:
    path = installation.begin_drill(installation.addon, keepMinutes=30)
    await_that(lambda: installation.throwaways() and installation.processes_of_drills())
    installation.api.post(f"{path}/abort")
    assert installation.await_drill(path)["status"] == "aborted"
    await_that(lambda: installation.throwaways() == [])
    assert installation.processes_of_drills() == []


def test_people_say_what_they_found(installation: DrillInstallation) -> None:
    drill = installation.drill(installation.addon)
    path = f"{installation.addon}/drills/{drill['id']}"
    installation.api.post(f"{path}/opinions", {"passed": False, "note": "an order is missing"})
    (opinion,) = installation.api.get(path).data["opinions"]
    assert (opinion["passed"], opinion["note"]) == (False, "an order is missing")
    assert installation.api.get(path).data["verdict"] == "passed"


def test_a_worker_that_is_killed_leaves_no_server_behind(installation: DrillInstallation) -> None:
    path = installation.begin_drill(installation.addon, keepMinutes=30)
    await_that(lambda: installation.api.get(path).data.get("keptUntil"))
    installation.kill()
    (left,) = installation.throwaways()
    assert installation.processes_of_drills() != []
    installation.start(HOLDFAST_DEAD="3")
    await_that(lambda: installation.api.get(path).data.get("keptUntil"))
    await_that(lambda: left not in installation.throwaways())
    assert all(left not in command for command in installation.processes_of_drills())
    installation.api.post(f"{path}/release")
    assert installation.await_drill(path)["verdict"] == "passed"
    assert installation.throwaways() == []


def test_a_server_that_dies_in_the_middle_fails_no_backup_for_ever(
    installation: DrillInstallation,
) -> None:
    """What is killed behind our back ends the drill with a reason, and the next one passes."""
    path = installation.begin_drill(installation.addon, keepMinutes=30)
    await_that(lambda: installation.api.get(path).data.get("keptUntil"))
    for process in installation.servers_of_drills():
        process.kill()
    installation.api.post(f"{path}/release")
    assert installation.await_drill(path)["status"] == "completed"
    assert installation.drill(installation.addon)["verdict"] == "passed"


def test_a_byte_that_turned_is_found(installation: DrillInstallation) -> None:
    backup = installation.backup(backupType="dump", name=fresh("Damaged"))
    (uid,) = installation.catalogue(
        "SELECT objects FROM copies JOIN backups ON backups.pk = copies.backup_pk"
        " WHERE backups.id = ?",
        backup.rpartition("/")[2],
    )[0]
    member = max(
        (path for path in (installation.data_dir / "store" / uid).rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    body = bytearray(member.read_bytes())
    body[len(body) // 2] ^= 1
    member.chmod(0o600)
    member.write_bytes(body)
    drill = installation.drill(installation.addon, backup)
    assert drill["verdict"] == "failed"
    assert "the backup restores" in failed(drill)
    shown = installation.api.get(f"{installation.addon}/protection").data
    assert any("the last drill failed" in reason["sentence"] for reason in shown["reasons"])
    installation.api.delete(f"{backup}?force=true")
    assert installation.drill(installation.addon)["verdict"] == "passed"
    shown = installation.api.get(f"{installation.addon}/protection").data
    assert not any("drill failed" in reason["sentence"] for reason in shown["reasons"])


def test_a_plan_orders_drills_by_itself(installation: DrillInstallation) -> None:
    plan = f"{installation.addon}/drill-plan"
    default = {"scheduled": True, "afterBackup": False, "compareContent": True}
    assert installation.api.get(plan).data == default
    installation.api.put(plan, {"afterBackup": True})
    backup = installation.backup(backupType="dump").rpartition("/")[2]
    drills = f"{installation.addon}/drills"

    def of_backup() -> dict[str, Any] | None:
        shown = installation.api.get(drills).data["drills"]
        return next((d for d in shown if d["backupId"] == backup and "verdict" in d), None)

    drill = await_that(of_backup)
    assert (drill["cause"], drill["verdict"]) == ("backup", "passed")
    installation.api.put(plan, {})
    assert installation.api.get(plan).data == default


def test_assertions_are_kept_and_asked(installation: DrillInstallation) -> None:
    path = f"{installation.addon}/assertions"
    asked = [
        {"name": "enough", "text": "SELECT count(*) > 1000 FROM orders", "seconds": 30},
        {"name": "none is negative", "text": "SELECT min(id) < 0 FROM orders", "seconds": 30},
    ]
    assert installation.api.put(path, {"assertions": asked}).data["assertions"] == asked
    drill = installation.drill(installation.addon)
    assert drill["verdict"] == "failed"
    assert list(failed(drill)) == ["assertion none is negative"]
    twice = {"assertions": [asked[0], asked[0]]}
    refused = installation.api.put(path, twice)
    assert refused.status == 400
    assert "needs a name of its own" in str(refused.error)
    installation.api.put(path, {"assertions": []})
