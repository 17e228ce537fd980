"""Alarms over the API and the command line, with a real failing addon and real receivers."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.breakable import Breakable
from fixtures.holdfast import Api, Server, await_that, fresh
from fixtures.receivers import Hook, MailServer
from holdfast.client import Client
from holdfast.domain.access import Permission
from holdfast.kit.clock import parse_rfc3339
from holdfast.kit.seal import Secret

TokenOf = Callable[..., Api]
pytestmark = pytest.mark.sqlite_first


def add_hook(api: Api, hook: Hook, **more: Any) -> str:
    """The id of a channel that is removed with its hook, when the test's server forgets it."""
    body = {"name": fresh("Hook"), "kind": "webhook", "settings": {"url": hook.url}, **more}
    return api.post("/channels", body).data["id"]


def test_a_failure_is_sent_within_seconds_and_so_is_its_end(
    api: Api, breakable: Breakable, hook: Hook, mail_server: MailServer
) -> None:
    channel = add_hook(api, hook, projects=[breakable.project])
    mail = {"name": fresh("Mail"), "kind": "email", "settings": mail_server.settings}
    api.post("/channels", {**mail, "projects": [breakable.project]})
    breakable.break_password()
    assert breakable.back_up() == "failed"
    alarm = breakable.alarm("addon.backup-failed", is_open=True)
    assert "refused the password of user" in alarm["reason"]
    assert alarm["remedy"]
    (sent,) = await_that(lambda: hook.events("alarm.opened"))
    assert sent["alarms"][0]["id"] == alarm["id"]
    late_ms = parse_rfc3339(sent["sentAt"]) - parse_rfc3339(alarm["openedAt"])
    assert late_ms < 60_000, "within 5 s, where the machine is not busy"
    await_that(lambda: mail_server.mails)
    assert breakable.project in str(mail_server.mails[0]["subject"])
    breakable.heal_password()
    assert breakable.back_up() == "completed"
    closed = breakable.alarm("addon.backup-failed", is_open=False)
    assert closed["id"] == alarm["id"]
    await_that(lambda: hook.events("alarm.closed"))
    await_that(lambda: len(mail_server.mails) == 2)
    deliveries = api.get("/deliveries", channelId=channel).data["deliveries"]
    assert [each["status"] for each in deliveries] == ["sent", "sent"]
    assert deliveries[0]["attempts"][0]["answer"] == '200 {"ok": true}'
    assert len(hook.posted) == 2, "something was sent twice"


def test_acknowledge_snooze_and_close(api: Api, breakable: Breakable) -> None:
    breakable.break_password()
    breakable.back_up()
    path = f"/alarms/{breakable.alarm('addon.backup-failed', is_open=True)['id']}"
    assert api.post(f"{path}/acknowledge").data["acknowledgedBy"]
    assert api.post(f"{path}/snooze", {"minutes": 5}).data["snoozedUntil"]
    assert api.post(f"{path}/snooze", {"minutes": 0}).status == 400
    assert api.post(f"{path}/close").data["closedBy"]
    assert api.post(f"{path}/close").status == 409
    assert api.post(f"{path}/acknowledge").status == 409
    assert api.get(path).data["closedAt"]
    again = breakable.alarm("addon.backup-failed", is_open=True)
    assert again["id"] not in path, "its cause is still there"
    kinds = {entry["object"]["kind"] for entry in api.get("/audit-log").data["entries"]}
    assert "alarm" in kinds


def test_a_channel_is_tried_changed_and_removed(api: Api, hook: Hook) -> None:
    made = api.post(
        "/channels",
        {"name": fresh("Signed"), "kind": "webhook", "settings": {"url": f"{hook.url}/secret"}},
    ).data
    assert made["key"].startswith("whsec_")
    path = f"/channels/{made['id']}"
    shown = api.get(path).data
    assert shown["receiver"] == hook.url
    assert "key" not in shown
    assert "secret" not in str(api.get("/channels").body)
    delivered = api.post(f"{path}/test").data
    assert delivered["status"] == "sent"
    assert hook.posted[0].path == "/secret"
    hook.status, hook.answer = 403, b"go away"
    refused = api.post(f"{path}/test").data
    assert (refused["status"], refused["attempts"][0]["ok"]) == ("given up", False)
    assert refused["attempts"][0]["answer"] == "answered 403 go away"
    hook.status = 200
    assert api.post(f"/deliveries/{refused['id']}/resend").status == 200
    await_that(lambda: len(hook.posted) == 2)
    assert hook.posted[1].headers["webhook-id"] == refused["id"]
    changed = api.patch(path, {"severity": "critical", "digest": "weekly"}).data
    assert (changed["severity"], changed["digest"]) == ("critical", "weekly")
    assert api.patch(path, {"settings": {"url": "nonsense"}}).details.keys() == {"settings.url"}
    assert api.delete(path).data == {}
    assert api.get(path).status == 404
    entries = api.get("/audit-log", kind="channel", objectId=made["id"]).data["entries"]
    assert {entry["action"] for entry in entries} == {"add_channel", "patch_channel",
                                                      "delete_channel"}  # fmt: skip
    assert made["key"] not in str(entries)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"settings": {}}, "settings.url"),
        ({"settings": {"url": "http://169.254.169.254"}}, "settings.url"),
        ({"severity": "bad"}, "severity"),
        ({"projects": ["nowhere"]}, "projects[0]"),
        ({"kinds": ["nothing"]}, "kinds[0]"),
        ({"digest": "hourly"}, "digest"),
        ({"name": "x"}, "name"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_channel_names_the_field(
    api: Api, hook: Hook, change: dict[str, Any], field: str
) -> None:
    body = {"name": fresh("Bad"), "kind": "webhook", "settings": {"url": hook.url}, **change}
    refused = api.post("/channels", body)
    assert refused.status == 400
    assert field in refused.details


def test_names_are_taken_once(api: Api, hook: Hook) -> None:
    body = {"name": fresh("Twice"), "kind": "slack", "settings": {"url": hook.url}}
    assert api.post("/channels", body).status == 200
    assert api.post("/channels", {**body, "severity": "warning"}).status == 409


def test_a_token_of_some_projects_sees_and_sends_only_theirs(
    api: Api, breakable: Breakable, hook: Hook, token_of: TokenOf
) -> None:
    everything = list(Permission)
    other = token_of(everything, projects=[api.project()])
    own = token_of(everything, projects=[breakable.project])
    breakable.break_password()
    breakable.back_up()
    alarm = breakable.alarm("addon.backup-failed", is_open=True)
    assert other.get("/alarms").data["alarms"] == []
    assert other.get(f"/alarms/{alarm['id']}").status == 404
    assert other.post(f"/alarms/{alarm['id']}/close").status == 404
    assert own.get(f"/alarms/{alarm['id']}").status == 200
    channel = add_hook(api, hook, projects=[breakable.project])
    of_all = add_hook(api, hook, severity="critical")
    assert channel in {each["id"] for each in own.get("/channels").data["channels"]}
    assert of_all not in {each["id"] for each in own.get("/channels").data["channels"]}
    assert other.get(f"/channels/{channel}").status == 404
    assert other.get("/deliveries", channelId=channel).status == 404
    body = {"name": fresh("Mine"), "kind": "webhook", "settings": {"url": hook.url}}
    assert own.post("/channels", body).status == 403, "it would send what is of all projects"
    assert own.post("/channels", {**body, "projects": [breakable.project]}).status == 200
    assert token_of("default").get("/channels").status == 403
    api.delete(f"/channels/{of_all}")


def test_the_command_line(
    api: Api, breakable: Breakable, hook: Hook, server: Server, tmp_path: Path
) -> None:
    def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name("holdfast"))
        return subprocess.run(
            [program, *words],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            input=text,
        )

    environment = {
        **os.environ,
        "HOLDFAST_HOST": server.url,
        "HOLDFAST_TOKEN": server.token,
        "HOME": str(tmp_path),
    }
    name = fresh("Cli")
    added = run(
        *("channel", "add", name, "--kind", "webhook", "--secret", "url", "--secret-file", "-"),
        *("--project", breakable.project, "-o", "json"),
        text=hook.url,
    )
    assert added.returncode == 0, added.stderr
    channel = name.lower().replace(" ", "-")
    assert channel in run("channel", "list").stdout
    tested = run("channel", "test", channel)
    assert (tested.returncode, "delivered in" in tested.stderr + tested.stdout) == (0, True)
    hook.status = 500
    tested = run("channel", "test", channel)
    assert tested.returncode == 1
    assert "answered 500" in tested.stderr
    hook.status = 200
    breakable.break_password()
    breakable.back_up()
    alarm = breakable.alarm("addon.backup-failed", is_open=True)["id"]
    assert alarm in run("alarm", "list", "--project", breakable.project, "-o", "json").stdout
    assert "what to do:" in run("alarm", "show", alarm).stderr
    assert run("alarm", "acknowledge", alarm).returncode == 0
    assert run("alarm", "snooze", alarm, "--minutes", "5").returncode == 0
    listed = run("delivery", "list", "--channel", channel, "-o", "json")
    assert "test" in listed.stdout
    sent = api.get("/deliveries", channelId=channel).data["deliveries"][-1]["id"]
    assert run("delivery", "resend", sent).returncode == 0
    assert run("alarm", "close", alarm, "--force").returncode == 0
    assert run("channel", "remove", channel, "--force").returncode == 0


def test_the_python_client(api: Api, hook: Hook, server: Server) -> None:
    with Client(server.url, Secret(server.token)) as client:
        body = {"name": fresh("Py"), "kind": "webhook", "settings": {"url": hook.url}}
        channel = client.channels.add(body)
        assert channel.key
        assert client.channels.test(channel.id).attempts[0].ok
        assert client.channels.patch(channel.id, {"resolved": False}).resolved is False
        assert channel.id in {each.id for each in client.channels.list()}
        assert next(iter(client.deliveries.list({"channelId": channel.id}))).event == "test"
        list(client.alarms.list({"open": "true"}))
        client.channels.delete(channel.id)
