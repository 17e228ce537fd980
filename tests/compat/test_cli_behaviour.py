"""How the official clients behave on our answers: outputs, exit codes, errors, tokens that end."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from fixtures.attached import Attached
from fixtures.holdfast import Api, Server, await_backup, fresh
from fixtures.official import JsClient, OfficialCli

pytestmark = pytest.mark.sqlite_first


@pytest.fixture(params=["revoked", "expired"])
def spent(request: pytest.FixtureRequest, server: Server, api: Api) -> str:
    """A token that was good and is not any more."""
    order = {"name": fresh("Spent"), "role": "owner", "expiresInDays": 1}
    made = api.post("/tokens", order).data
    if request.param == "revoked":
        api.delete(f"/tokens/{made['id']}")
    else:
        _let_a_day_pass(server, made["id"])
    return made["token"]


def _let_a_day_pass(server: Server, token: str) -> None:
    """In the catalogue, which is all that knows when a token ends."""
    earlier = f"UPDATE tokens SET expires = expires - 86400000 WHERE id = '{token}'"
    with closing(
        psycopg.connect(server.database_url)
        if server.catalogue == "postgresql"
        else sqlite3.connect(server.data_dir / "holdfast.db", timeout=30)
    ) as catalogue:
        assert catalogue.execute(earlier).rowcount == 1
        catalogue.commit()


def test_a_token_that_ended_logs_nobody_in(
    fresh_cli: OfficialCli, make_js: Callable[..., JsClient], server: Server, spent: str
) -> None:
    said = fresh_cli("login", "-n", "x", "-t", spent, "--host", server.url)
    assert (said.status, "success" in (said.out + said.err).lower()) == (0, False)
    error = make_js(token=spent).call("list.projects")["error"]
    assert (error["status"], "expired" in error["message"]) == (401, True)
    good = fresh_cli("login", "-n", "x", "-t", server.token, "--host", f"{server.url}/")
    assert "success" in (good.out + good.err).lower()


def test_a_context_gets_another_token(fresh_cli: OfficialCli, api: Api, server: Server) -> None:
    first = api.post("/tokens", {"name": fresh("First"), "role": "owner"}).data
    fresh_cli("login", "-n", "x", "-t", first["token"], "--host", server.url)
    api.delete(f"/tokens/{first['id']}")
    said = fresh_cli("list", "projects")
    assert (said.status, "401" in said.err) == (1, True)
    fresh_cli("context", "update-token", "-t", server.token)
    assert fresh_cli("list", "projects").status == 0


def test_errors_are_thrown_when_the_client_is_told_to(
    make_js: Callable[..., JsClient], attached: Attached
) -> None:
    js = make_js(mode="throws")
    assert js.data("get.addon", parameters=attached.place)["id"] == attached.addon
    thrown = js.thrown("get.project", parameters={"projectId": "no-such"})
    assert (thrown["status"], thrown["id"]) == (404, "not-found")
    assert "there is no project" in thrown["message"]
    order = {"name": "a", "what": 1}
    thrown = js.thrown("backup.addon", parameters=attached.place, data=order)
    assert (thrown["status"], thrown["details"].keys()) == (400, {"name", "what"})


def test_what_the_platform_has_and_holdfast_has_not(js: JsClient) -> None:
    """T2: a 404 makes the command line ask for free text instead of crashing."""
    for call in ("list.regions", "list.plans"):
        assert js.call(call)["error"]["status"] == 404
    (team,) = js.data("list.teams")["teams"]
    assert team.keys() == {"id", "name"}


def test_outputs(cli: OfficialCli, api: Api, attached: Attached) -> None:
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    assert "No backups found" in cli("get", "addon", "backups", *at).out
    for name in ("first", "second"):
        api.post(f"{attached.path}/backups", {"name": name, "backupType": "dump"})
        await_backup(api, f"{attached.path}/backups/{name}")
    table = cli("get", "addon", "backups", *at)
    assert table.status == 0
    assert all(word in table.out for word in ("first", "second", "status", "completed"))
    columns = cli("get", "addon", "backups", *at, "-o", "custom-columns=id,status").out
    assert ("first" in columns, "createdAt" in columns) == (True, False)
    listed = cli("get", "addon", "backups", *at, "-o", "json").json["backups"]
    assert [each["id"] for each in listed] == ["second", "first"]
    yaml = cli("get", "addon", "backup", *at, "--backupId", "first", "-o", "yaml").out
    assert "id: first\n" in yaml
    assert "status: completed\n" in yaml
    done = cli("retain", "addon", "backup", *at, "--backupId", "first")
    assert (done.status, "completed successfully" in done.out) == (0, True)
    silent = cli("retain", "addon", "backup", *at, "--backupId", "first", "-o", "json")
    assert silent.json == {}


def test_paging_on_the_command_line(cli: OfficialCli, api: Api, attached: Attached) -> None:
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    for name in ("one", "two", "three"):
        api.post(f"{attached.path}/backups", {"name": f"page {name}"})
    page = ("--per_page", "2", "--page", "2", "-o", "json")
    second = cli("get", "addon", "backups", *at, *page).json["backups"]
    assert [each["id"] for each in second] == ["page-one"]
    everything = cli("get", "addon", "backups", *at, "--per_page", "1", "--loadAll", "-o", "json")
    assert len(everything.json["backups"]) == 3
    both = cli("get", "addon", "backups", *at, "--loadAll", "--page", "1")
    assert both.status == 1


def test_exit_codes(cli: OfficialCli, attached: Attached) -> None:
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    lost = cli("get", "addon", "backup", *at, "--backupId", "none")
    assert lost.status == 1
    assert "Message: there is no backup 'none'" in lost.err
    assert "HTTP status code: 404, NF error id: not-found" in lost.err
    bad = cli("backup", "addon", *at, "-i", '{"backupType":"copy"}')
    assert (bad.status, "details :{" in bad.err) == (1, True)
    assert cli("patch", "addon", *at).status == 1, "a patch without a body is not even sent"


def test_an_attached_server_has_no_metrics(js: JsClient, attached: Attached) -> None:
    for call in ("get.addon.metrics", "get.addon.metricsRange"):
        options = {"metricTypes": ["cpu"]}
        metrics = js.data(call, parameters=attached.place, options=options)
        assert metrics == {
            "cpu": {"metricInfo": {"metricId": "cpu", "metricUnit": "vCPU"}, "values": []}
        }


def test_a_project_is_put(cli: OfficialCli, api: Api) -> None:
    name = fresh("Put")
    order = json.dumps({"name": name, "description": "Once"})
    made = cli("put", "project", "-i", order, "-o", "json").json
    again = json.dumps({"name": name, "description": "Twice"})
    assert cli("put", "project", "-i", again).status == 0
    assert api.get(f"/projects/{made['id']}").data["description"] == "Twice"
    gone = cli("delete", "project", "--projectId", made["id"], "--force")
    assert (gone.status, api.get(f"/projects/{made['id']}").status) == (0, 404)
