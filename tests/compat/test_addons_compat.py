"""A managed addon's life through the official clients: each call's effect is seen in its server."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest

from fixtures.bodies import BILLING
from fixtures.holdfast import Server, await_that, fresh
from fixtures.official import JsClient, ManagedAddon, OfficialCli

pytestmark = pytest.mark.sqlite_first


@pytest.fixture(scope="module")
def managed(server: Server, cli: OfficialCli) -> Iterator[ManagedAddon]:
    """Made by the command line; the tests below follow it in order."""
    api = server.api()
    project = api.project()
    order = {"name": "Cli made", "type": "postgresql", "version": "15-latest", "billing": BILLING}
    words = ("create", "addon", "--projectId", project, "-i", json.dumps(order), "-o", "json")
    made = ManagedAddon(api, {"projectId": project, "addonId": cli(*words).json["id"]})
    made.await_status("running")
    made.sql("CREATE TABLE kept AS SELECT 1 AS one")
    yield made
    api.delete(made.path)


def test_it_is_described(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    uri = js.data("get.addon.credentials", parameters=managed.place)["secrets"]["POSTGRES_URI"]
    with psycopg.connect(uri) as connection:
        assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]
    said = cli("get", "addon", "credentials", *managed.words, "-o", "json").json
    assert said["secrets"]["POSTGRES_URI"] == uri
    (container,) = js.data("get.addon.containers", parameters=managed.place)["containers"]
    assert (container["status"], type(container["createdAt"])) == ("TASK_RUNNING", int)
    assert container["name"] in cli("get", "addon", "containers", *managed.words).out
    version = cli("get", "addon", "version", *managed.words, "-o", "json").json
    assert version["version"] == managed.shown()["version"]


def test_pause_resume_and_restart(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    assert cli("pause", "addon", *managed.words).status == 0
    managed.await_status("paused")
    with pytest.raises(psycopg.OperationalError):
        managed.sql("SELECT 1")
    assert js.call("pause.addon", parameters=managed.place)["error"]["status"] == 409
    assert js.data("resume.addon", parameters=managed.place) == {}
    managed.await_status("running")
    assert js.data("pause.addon", parameters=managed.place) == {}
    managed.await_status("paused")
    assert cli("resume", "addon", *managed.words).status == 0
    managed.await_status("running")
    began = managed.sql("SELECT pg_postmaster_start_time()")
    assert js.data("restart.addon", parameters=managed.place) == {}
    managed.await_status("running")
    again = managed.sql("SELECT pg_postmaster_start_time()")
    assert again > began
    assert cli("restart", "addon", *managed.words).status == 0
    managed.await_status("running")
    assert managed.sql("SELECT pg_postmaster_start_time()") > again
    assert managed.sql("SELECT one FROM kept") == [(1,)]


def test_scale_network_and_security(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    """What only says what a server is sold as changes; what would change how safe it is, and is
    not done, is refused by name."""
    order = {"deploymentPlan": "bigger", "storage": 2048}
    assert js.data("scale.addon", parameters=managed.place, data=order) == {}
    deployment = managed.shown()["spec"]["config"]["deployment"]
    assert (deployment["planId"], deployment["storageSize"]) == ("bigger", 2048)
    assert cli("scale", "addon", *managed.words, "-i", '{"storage":4096}').status == 0
    assert managed.shown()["spec"]["config"]["deployment"]["storageSize"] == 4096
    said = cli("scale", "addon", *managed.words, "-i", '{"replicas":3}')
    assert (said.status, "replicas" in said.err) == (1, True)

    asked = {"tlsEnabled": False, "externalAccessEnabled": False}
    call = "update.addon.networkSettings"
    assert js.data(call, parameters=managed.place, data=asked) == {}
    error = js.call(call, parameters=managed.place, data={"tlsEnabled": True})["error"]
    assert (error["status"], list(error["details"])) == (400, ["tlsEnabled"])
    words = ("update", "addon", "network-settings", *managed.words)
    assert cli(*words, "-i", json.dumps(asked)).status == 0
    assert cli(*words, "-i", '{"externalAccessEnabled":true}').status == 1

    call = "update.addon.security"
    assert js.data(call, parameters=managed.place, data={"ipPolicies": []}) == {}
    policies = {"ipPolicies": [{"address": "10.0.0.0/8", "action": "ALLOW"}]}
    error = js.call(call, parameters=managed.place, data=policies)["error"]
    assert (error["status"], list(error["details"])) == (400, ["ipPolicies"])
    words = ("update", "addon", "security", *managed.words)
    assert cli(*words, "-i", '{"ipPolicies":[]}').status == 0
    said = cli(*words, "-i", json.dumps(policies))
    assert (said.status, "ipPolicies" in said.err) == (1, True)


def test_versions_go_up_only(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    order = {"version": managed.shown()["version"]}
    error = js.call("update.addon.version", parameters=managed.place, data=order)["error"]
    assert (error["status"], list(error["details"])) == (400, ["version"])
    said = cli("update", "addon", "version", *managed.words, "-i", json.dumps(order))
    assert (said.status, "version" in said.err) == (1, True)


def test_its_log(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    text = fresh("said").replace(" ", "_")
    managed.sql(f"DO $$ BEGIN RAISE WARNING '{text}'; END $$")

    def lines() -> list[str]:
        return [each["log"] for each in js.data("get.addon.logs", parameters=managed.place)]

    await_that(lambda: any(text in line for line in lines()))
    found = cli("get", "addon", "logs", *managed.words, "-o", "json")
    assert (found.status, text in found.out) == (0, True)
    events = js.tail(
        "get.addon.logTail", until=text, parameters=managed.place, options={"lineLimit": 100}
    )
    assert text in str([each for each in events if each["name"] == "logs-received"])
    with cli.at_terminal("get", "addon", "logs", *managed.words, "-f", "--lineLimit", "100") as it:
        it.expect(text)
    wrong = cli("get", "addon", "logs", *managed.words, "--lineLimit", "0")
    assert (wrong.status, "lineLimit" in wrong.err) == (0, True), "a failed range is no failure"


def test_its_metrics(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    types = ["cpu", "memory", "diskUsage", "tcpConnectionsOpen", "requests"]

    def shown(call: str, **options: object) -> dict[str, Any]:
        options["metricTypes"] = types
        return js.data(call, parameters=managed.place, options=options)

    def now(metrics: dict[str, Any], name: str) -> float:
        (series,) = metrics[name]["values"]
        assert series["metadata"]["containerId"] == f"{managed.place['addonId']}-0"
        (point,) = series["data"]
        assert abs(instant(point["ts"]) - time.time()) < 300
        return float(point["value"])

    before = shown("get.addon.metrics")
    assert before.keys() == set(types) - {"requests"}
    units = {name: metric["metricInfo"]["metricUnit"] for name, metric in before.items()}
    assert units == {
        "cpu": "vCPU", "memory": "mb", "diskUsage": "mb", "tcpConnectionsOpen": "count",
    }  # fmt: skip
    assert now(before, "cpu") >= 0
    assert 1 < now(before, "memory") < 4000
    assert 10 < now(before, "diskUsage") < 1000
    uri = js.data("get.addon.credentials", parameters=managed.place)["secrets"]["POSTGRES_URI"]
    with psycopg.connect(uri), psycopg.connect(uri):
        during = shown("get.addon.metrics")
    assert now(during, "tcpConnectionsOpen") >= 2
    assert now(shown("get.addon.metricsRange", duration=600), "memory") > 1
    words = ("get", "addon", "metrics", *managed.words, "--metricTypes", "cpu", "memory")
    past = cli(*words, "--timestamp", "2026-01-01T00:00:00Z", "-o", "json").json
    assert [metric["values"] for metric in past.values()] == [[], []]
    said = cli(*words, "-o", "json").json
    assert said.keys() == {"cpu", "memory"}
    assert now(said, "memory") > 1
    with cli.at_terminal(*words) as it:
        it.expect("vCPU")
    wrong = cli("get", "addon", "metrics", *managed.words, "--duration", "0", "-o", "json")
    assert (wrong.status, "duration" in wrong.err) == (1, True)


def instant(shown: str | int) -> float:
    """Seconds since 1970 of a time as the client parsed it, or as it was sent."""
    if isinstance(shown, int):
        return shown / 1000
    return datetime.fromisoformat(shown).timestamp()


def test_put_and_patch(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    at = {"projectId": managed.place["projectId"]}
    order = {"name": "Cli made", "type": "postgresql", "billing": BILLING, "description": "Put"}
    put = js.data("put.addon", parameters=at, data=order)
    assert put["id"] == managed.place["addonId"]
    assert managed.shown()["description"] == "Put"
    where = ("--projectId", managed.place["projectId"])
    assert cli("put", "addon", *where, "-i", json.dumps({**order, "tags": ["a"]})).status == 0
    assert managed.shown()["tags"] == ["a"]
    assert cli("patch", "addon", *managed.words, "-i", '{"description":"Patched"}').status == 0
    assert managed.shown()["description"] == "Patched"
    assert managed.sql("SELECT one FROM kept") == [(1,)]


def test_reset_wipes_it(js: JsClient, cli: OfficialCli, managed: ManagedAddon) -> None:
    kept = "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"
    assert js.data("reset.addon", parameters=managed.place) == {}
    managed.await_status("running")
    assert managed.sql(kept) == [(0,)]
    managed.sql("CREATE TABLE kept (one int)")
    assert cli("reset", "addon", *managed.words).status == 0
    managed.await_status("running")
    assert managed.sql(kept) == [(0,)]


def test_the_command_line_deletes_it(cli: OfficialCli, managed: ManagedAddon) -> None:
    uri = managed.api.get(f"{managed.path}/credentials").data["secrets"]["POSTGRES_URI"]
    assert cli("delete", "addon", *managed.words, "--force").status == 0
    assert managed.api.get(managed.path).status == 404

    def gone() -> bool:
        try:
            psycopg.connect(uri, connect_timeout=5).close()
        except psycopg.OperationalError:
            return True
        return False

    await_that(gone)
