"""Monitors over the API, the command line and the client, pinged as healthchecks are."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.holdfast import Api, Server, await_that, fresh, start_holdfast
from fixtures.receivers import Hook
from holdfast.client import Client
from holdfast.domain.access import Permission
from holdfast.kit.seal import Secret

TokenOf = Callable[..., Api]
pytestmark = pytest.mark.sqlite_first

DAY = 86_400


def add(api: Api, every: int = DAY, grace: int = DAY) -> dict[str, Any]:
    body = {"name": fresh("Monitor"), "everySeconds": every, "graceSeconds": grace}
    return api.post("/monitors", body).data


@pytest.fixture
def monitor(api: Api) -> Iterator[dict[str, Any]]:
    """One that is not late while the test runs."""
    added = add(api)
    yield added
    api.delete(f"/monitors/{added['id']}")


def ping(url: str, method: str = "GET", **more: Any) -> None:
    answer = httpx.request(method, url, timeout=60, **more)
    assert answer.status_code == 200, answer.text
    assert answer.text == ("" if method == "HEAD" else "OK")


def alarm_of(api: Api, monitor: dict[str, Any], *, is_open: bool) -> dict[str, Any]:
    def alarms() -> Any:
        listed = api.get("/alarms", open=str(is_open).lower(), per_page=100).data["alarms"]
        return [alarm for alarm in listed if alarm["subject"] == f"monitor {monitor['id']}"]

    (alarm,) = await_that(alarms)
    return alarm


def test_pings_are_kept_and_failures_are_one_alarm(
    api: Api, monitor: dict[str, Any], hook: Hook
) -> None:
    body = {"name": fresh("Hook"), "kind": "webhook", "settings": {"url": hook.url}}
    channel = api.post("/channels", {**body, "kinds": ["monitor.down"]}).data["id"]
    url, path = monitor["pingUrl"], f"/monitors/{monitor['id']}"
    assert (monitor["state"], "pingedAt" in monitor) == ("new", False)
    ping(url, "HEAD")
    assert api.get(path).data["state"] == "up"
    ping(f"{url}/start", "POST", content=b"it begins")
    shown = api.get(path).data
    assert (shown["signal"], shown["said"], "startedAt" in shown) == ("start", "it begins", True)
    ping(f"{url}/log?rid=1", "POST", content=b"half of it")
    ping(f"{url}/fail", "POST", content="\x1b[31mno disk\x00 \u202eleft".encode())
    assert api.get(path).data["problem"] == "it reported a failure: [31mno disk left"
    alarm = alarm_of(api, monitor, is_open=True)
    assert (alarm["kind"], alarm["severity"]) == ("monitor.down", "critical")
    ping(f"{url}/3", "POST", content=b"password=hunter2")
    assert api.get(path).data["problem"] == "exit status 3: password=********"
    ping(f"{url}/start")
    assert api.get(path).data["state"] == "failed", "only a success ends it"
    ping(f"{url}/0")
    assert alarm_of(api, monitor, is_open=False)["id"] == alarm["id"]
    await_that(lambda: hook.events("alarm.closed"))
    assert len(hook.events("alarm.opened")) == 1
    shown = api.get(path).data
    assert (shown["state"], "problem" in shown, "startedAt" in shown) == ("up", False, False)
    assert "pingUrl" not in shown
    assert url.rpartition("/")[2] not in str(api.get("/monitors").body)
    api.delete(f"/channels/{channel}")


def test_a_late_one_is_an_alarm_until_it_is_removed(api: Api) -> None:
    late = add(api, every=1, grace=1)
    alarm = alarm_of(api, late, is_open=True)
    assert "since it was added; one is due every 1 s" in alarm["reason"]
    assert api.get(f"/monitors/{late['id']}").data["state"] == "late"
    assert api.delete(f"/monitors/{late['id']}").data == {}
    assert alarm_of(api, late, is_open=False)["closedBy"] == "the cause is gone"
    assert httpx.get(late["pingUrl"]).status_code == 404


def test_a_start_without_an_end_is_an_alarm(api: Api) -> None:
    begun = add(api, every=DAY, grace=1)
    ping(begun["pingUrl"])
    ping(f"{begun['pingUrl']}/start")
    assert "has not ended" in alarm_of(api, begun, is_open=True)["reason"]
    changed = api.patch(f"/monitors/{begun['id']}", {"graceSeconds": DAY}).data
    assert (changed["state"], changed["graceSeconds"]) == ("up", DAY)
    alarm_of(api, begun, is_open=False)
    api.delete(f"/monitors/{begun['id']}")


def test_bodies_are_cut_and_other_words_are_none(api: Api, monitor: dict[str, Any]) -> None:
    url, path = monitor["pingUrl"], f"/monitors/{monitor['id']}"
    ping(url, "POST", content=b"x" * 12_000, headers={"content-type": "text/plain"})
    assert api.get(path).data["said"] == "x" * 10_000
    ping(url, "POST", content=b"y" * (3 << 20))
    assert api.get(path).data["said"] == "y" * 10_000
    ping(url, "POST", content=b"\xff\xfe{not json")
    for word in ("256", "1000", "-1", "success", "starts", "٣"):
        assert httpx.get(f"{url}/{word}").status_code == 404
    for refused in ("PUT", "DELETE"):
        assert httpx.request(refused, url).status_code == 405


def test_another_url_replaces_the_first(api: Api, monitor: dict[str, Any]) -> None:
    path = f"/monitors/{monitor['id']}"
    renewed = api.post(f"{path}/renew").data
    assert renewed["pingUrl"] != monitor["pingUrl"]
    assert httpx.get(monitor["pingUrl"]).status_code == 404
    ping(renewed["pingUrl"])
    api.patch(path, {"name": "Another name"})
    entries = api.get("/audit-log", kind="monitor", objectId=monitor["id"]).data["entries"]
    actions = [entry["action"] for entry in entries]
    assert actions == ["patch_monitor", "renew_monitor", "add_monitor"], "a ping is no change"
    for shown in (monitor, renewed):
        assert shown["pingUrl"].rpartition("/")[2] not in str(entries)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x"}, "name"),
        ({"everySeconds": 0}, "everySeconds"),
        ({"graceSeconds": 10**9}, "graceSeconds"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_monitor_names_the_field(api: Api, change: dict[str, Any], field: str) -> None:
    refused = api.post("/monitors", {"name": fresh("Bad"), "everySeconds": 60, **change})
    assert (refused.status, field in refused.details) == (400, True)


def test_who_may(api: Api, monitor: dict[str, Any], token_of: TokenOf) -> None:
    some = token_of(list(Permission), projects=[api.project()])
    assert some.get("/monitors").status == 403, "they are of the whole installation"
    assert token_of("default").get(f"/monitors/{monitor['id']}").status == 403
    reader = token_of([Permission.NOTIFICATIONS_READ])
    assert reader.get(f"/monitors/{monitor['id']}").status == 200
    assert reader.post(f"/monitors/{monitor['id']}/renew").status == 403
    taken = api.post("/monitors", {"name": monitor["name"], "everySeconds": 60})
    assert taken.status == 409


def test_wrong_keys_count_as_wrong_tokens(tmp_path: Path) -> None:
    """Those who know a key are not locked out by them."""
    server = start_holdfast(tmp_path, forked=True, HOLDFAST_GUESS_LIMIT="5")
    try:
        url = add(server.api())["pingUrl"]
        ping(url)
        statuses = [httpx.get(f"{server.url}/ping/{number}").status_code for number in range(7)]
        assert statuses == [404] * 5 + [429] * 2
        ping(f"{url}/log")
        assert url.rpartition("/")[2] not in server.log.read_text()
    finally:
        server.stop()


def test_the_command_line(server: Server, tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name("holdfast"))
        return subprocess.run(
            [program, *words], check=False, env=environment, capture_output=True, text=True
        )

    environment = {
        **os.environ,
        "HOLDFAST_HOST": server.url,
        "HOLDFAST_TOKEN": server.token,
        "HOME": str(tmp_path),
    }
    name = fresh("Cli")
    monitor = name.lower().replace(" ", "-")
    added = run("monitor", "add", name, "--every", "1d", "--grace", "90m")
    assert added.returncode == 0, added.stderr
    assert "/ping/hfp_" in added.stdout
    assert "not shown again" in added.stderr
    listed = run("monitor", "list").stdout
    assert monitor in listed
    assert "1d" in listed
    assert "90m" in listed
    assert "5400" in run("monitor", "get", monitor).stdout
    assert "3600" in run("monitor", "change", monitor, "--grace", "1h").stdout
    assert run("monitor", "change", monitor).returncode == 2
    assert run("monitor", "change", monitor, "--every", "often").returncode == 2
    assert "/ping/" in run("monitor", "renew", monitor, "--force").stdout
    assert run("monitor", "remove", monitor, "--force").returncode == 0
    assert run("monitor", "get", monitor).returncode == 6


def test_the_python_client(server: Server) -> None:
    with Client(server.url, Secret(server.token)) as client:
        monitor = client.monitors.add({"name": fresh("Py"), "everySeconds": 60})
        assert monitor.grace_seconds == 300
        assert monitor.ping_url
        ping(monitor.ping_url)
        assert client.monitors.get(monitor.id).state == "up"
        assert client.monitors.renew(monitor.id).ping_url
        assert client.monitors.patch(monitor.id, {"everySeconds": 90}).every_seconds == 90
        assert monitor.id in {each.id for each in client.monitors.list()}
        client.monitors.delete(monitor.id)


def test_they_are_counted(api: Api, monitor: dict[str, Any]) -> None:
    text = api.based("").raw("GET", "/metrics").text
    counts = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("holdfast_monitors{")
    )
    assert int(counts['holdfast_monitors{state="new"}']) >= 1, monitor["id"]
    assert len(counts) == 4
