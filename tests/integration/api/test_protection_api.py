"""Protection over the API and the command line: who is protected, why not, what was promised."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.holdfast import Api, Server, await_backup, await_restore, fresh
from holdfast.client import Client
from holdfast.domain.access import Permission
from holdfast.kit.seal import Secret

pytestmark = pytest.mark.sqlite_first

TokenOf = Callable[..., Api]
DAILY = {
    "backupType": "dump",
    "compressionType": "gz",
    "scheduling": {"interval": "daily", "minute": [0], "hour": [3]},
    "retentionTime": 7,
}


def back_up(api: Api, attached: Attached) -> str:
    """The path of a new completed dump."""
    body = {"name": fresh("Backup"), "backupType": "dump", "compressionType": "gz"}
    path = f"{attached.path}/backups/{api.post(f'{attached.path}/backups', body).data['id']}"
    await_backup(api, path)
    return path


def wall(api: Api, project: str, **query: Any) -> dict[str, Any]:
    return api.get("/protection", projectId=project, **query).data


def state_of(api: Api, attached: Attached) -> dict[str, Any]:
    return api.get(f"{attached.path}/protection").data


def test_a_fresh_addon_has_no_plan_and_says_so(api: Api, attached: Attached) -> None:
    (item,) = wall(api, attached.project)["addons"]
    assert item["state"] == "no plan"
    sentences = [reason["sentence"] for reason in item["reasons"]]
    assert sentences == ["nothing is scheduled: no backup will be taken", "never backed up"]
    assert wall(api, attached.project)["counts"] == {"no plan": 1}
    assert wall(api, attached.project, state="protected")["addons"] == []


def test_a_schedule_a_backup_and_a_restore_change_what_is_said(
    api: Api, attached: Attached
) -> None:
    api.post(f"{attached.path}/backup-schedules", DAILY)
    assert state_of(api, attached)["reasons"][0]["sentence"] == "not backed up yet"
    backup = back_up(api, attached)
    protected = state_of(api, attached)
    assert (protected["state"], protected["reasons"]) == ("protected", [])
    assert protected["maxAgeMinutes"] == 24 * 60 + 15
    assert protected["places"] == 1
    assert "provenAt" not in protected
    restore = api.post(f"{backup}/restore").data["restoreId"]
    await_restore(api, backup, restore)
    proven = state_of(api, attached)
    assert proven["provenAt"]
    assert proven["proofSeconds"] > 0


def test_objectives_of_addon_project_and_installation(api: Api, attached: Attached) -> None:
    api.post(f"{attached.path}/backup-schedules", DAILY)
    back_up(api, attached)
    refused = api.put(f"{attached.path}/objective", {"maxAgeMinutes": 60})
    assert refused.status == 400
    assert "the schedules leave 24 h between two backups" in str(refused.error["details"])
    assert api.put(f"{attached.path}/objective", {"places": 2}).data == {"places": 2}
    sentence = "1 of 2 stores hold a good copy of the newest good backup"
    assert [reason["sentence"] for reason in state_of(api, attached)["reasons"]] == [sentence]
    api.put(f"/projects/{attached.project}/objective", {"provenWithinDays": 7})
    assert state_of(api, attached)["objective"] == {"places": 2, "provenWithinDays": 7}
    assert api.put(f"{attached.path}/objective", {}).data == {}
    assert api.get(f"{attached.path}/objective").data == {}
    assert api.get(f"/projects/{attached.project}/objective").data == {"provenWithinDays": 7}
    assert state_of(api, attached)["state"] == "protected"
    assert api.put("/objective", {"places": 1}).data == api.get("/objective").data
    api.put("/objective", {})


@pytest.mark.parametrize(
    "body", [{"places": 0}, {"maxAgeMinutes": "soon"}, {"provenWithinDays": -1}, {"rpo": 5}]
)
def test_bad_objectives_name_the_field(
    api: Api, attached: Attached, body: dict[str, object]
) -> None:
    refused = api.put(f"{attached.path}/objective", body)
    assert refused.status == 400
    assert next(iter(body)) in str(refused.error)


def test_a_token_of_some_projects_sees_and_sets_only_theirs(
    api: Api, attached: Attached, token_of: TokenOf
) -> None:
    other = token_of(list(Permission), projects=[api.project()])
    assert other.get("/protection").data["addons"] == []
    assert other.get("/protection", projectId=attached.project).status == 404
    assert other.get(f"{attached.path}/protection").status == 404
    assert other.put(f"{attached.path}/objective", {"places": 2}).status == 404
    assert other.put("/objective", {"places": 2}).status == 403


def test_the_command_line_ends_with_the_worst_state(
    api: Api, attached: Attached, server: Server
) -> None:
    def status(*more: str) -> subprocess.CompletedProcess[str]:
        line = [
            str(Path(sys.executable).with_name("holdfast")),
            "status",
            "--project",
            attached.project,
            *more,
        ]
        environment = {
            "HOLDFAST_HOST": server.url,
            "HOLDFAST_TOKEN": server.token,
            "PATH": "/usr/bin:/bin",
        }
        return subprocess.run(line, capture_output=True, text=True, check=False, env=environment)

    without_plan = status()
    assert without_plan.returncode == 2, without_plan.stderr
    assert "no plan" in without_plan.stdout
    api.post(f"{attached.path}/backup-schedules", DAILY)
    assert status().returncode == 1
    back_up(api, attached)
    assert status("-o", "json").returncode == 0


def test_the_client_says_the_same(attached: Attached, server: Server) -> None:
    with Client(server.url, Secret(server.token)) as client:
        (item,) = client.protection.wall(attached.project).addons
        assert item.addon.id == client.protection.get(attached.project, item.addon.id).addon.id
        client.protection.set_objective({"places": 3}, attached.project)
        assert client.protection.objective(attached.project).places == 3
