"""Notification integrations, driven by the official clients, and their webhooks received."""

import json
from typing import Any

import pytest

from fixtures.breakable import Breakable
from fixtures.holdfast import Api, await_that, fresh
from fixtures.official import JsClient, OfficialCli
from fixtures.receivers import Hook

pytestmark = pytest.mark.sqlite_first

ALL = {f"trigger:addon-backup:{event}": True for event in ("start", "success", "failure", "abort")}
PREFIX = "x-northflank-notification-integration"


def integration(hook: Hook, **more: Any) -> dict[str, Any]:
    return {
        "name": fresh("Js hook"),
        "type": "RAW_WEBHOOK",
        "webhook": f"{hook.url}/backups",
        "secret": "a plain secret",
        "events": {**ALL, "trigger:build:start": False},
        **more,
    }


def test_the_javascript_client(js: JsClient, breakable: Breakable, hook: Hook) -> None:
    only_ours = {"restricted": True, "projects": [breakable.project]}
    made = js.data("create.notification", parameters={}, data=integration(hook, **only_ours))
    place = {"notificationId": made["id"]}
    assert (made["type"], made["restricted"]) == ("RAW_WEBHOOK", True)
    assert made["webhook"] == f"{hook.url}/backups"
    assert made["projects"] == [breakable.project]
    assert made["events"] == ALL
    assert made["status"] == {"disabled": False}
    assert "a plain secret" not in str(made)
    assert js.data("get.notification", parameters=place) == made
    listed = js.all("list.notifications")["notificationIntegrations"]
    assert made["id"] in [each["id"] for each in listed]

    assert breakable.back_up() == "completed"
    await_that(lambda: len(hook.posted) == 2)
    breakable.break_password()
    assert breakable.back_up() == "failed"
    await_that(lambda: len(hook.posted) == 4)
    events = [each.json["event"] for each in hook.posted]
    assert events == [f"addon-backup:{event}" for event in ("start", "success", "start", "failure")]
    last = hook.posted[-1]
    assert last.path == "/backups"
    assert last.headers[f"{PREFIX}-id"] == made["id"]
    assert last.headers[f"{PREFIX}-name"] == made["name"]
    assert last.headers[f"{PREFIX}-token"] == "a plain secret"
    assert last.headers[f"{PREFIX}-event-type"] == "addon-backup:failure"
    assert len({each.headers[f"{PREFIX}-event-id"] for each in hook.posted}) == 4
    assert last.json["data"]["project"]["id"] == breakable.project
    assert last.json["data"]["backup"]["status"] == "failed"
    assert "refused the password" in last.json["data"]["backup"]["reason"]

    fewer = {"events": {"trigger:addon-backup:failure": True}, "name": "Another name"}
    updated = js.data("update.notification", parameters=place, data=fewer)
    assert updated["id"] == made["id"]
    assert js.data("get.notification", parameters=place)["name"] == "Another name"
    breakable.heal_password()
    assert breakable.back_up() == "completed"
    assert js.data("delete.notification", parameters=place) == {}
    assert js.call("get.notification", parameters=place)["error"]["status"] == 404
    assert len(hook.posted) == 4


def test_the_command_line(cli: OfficialCli, api: Api, hook: Hook) -> None:
    body = integration(hook, name=fresh("Cli hook"))
    # It asks for an id that there is not yet, and does not send it.
    unused = ("--notificationId", "none-yet", "-o", "json")
    made = cli("create", "notification", "-i", json.dumps(body), *unused).json
    at = ("--notificationId", made["id"], "-o", "json")
    assert cli("get", "notification", *at).json["webhook"] == body["webhook"]
    shown = cli("list", "notifications", "-o", "json")
    assert (shown.status, made["id"] in shown.out) == (0, True)
    quiet = json.dumps({"events": {"trigger:addon-backup:failure": True}})
    assert cli("update", "notification", "-i", quiet, *at).status == 0
    events = api.get(f"/integrations/notifications/{made['id']}").data["events"]
    assert [name for name, chosen in events.items() if chosen] == ["trigger:addon-backup:failure"]
    assert cli("delete", "notification", *at, "--force").status == 0
    assert api.get(f"/integrations/notifications/{made['id']}").status == 404


def test_a_failing_integration_is_retried_shown_and_never_disabled(
    api: Api, breakable: Breakable, hook: Hook
) -> None:
    chosen = {"trigger:addon-backup:success": True}
    only_ours = {"restricted": True, "projects": [breakable.project]}
    body = integration(hook, events=chosen, **only_ours)
    made = api.post("/integrations/notifications", body).data
    hook.statuses = [500]
    breakable.back_up()
    path = f"/integrations/notifications/{made['id']}"
    status = await_that(lambda: api.get(path).data["status"].get("numberOfFailedRequests"))
    assert status == 1
    await_that(lambda: hook.posted)
    await_that(lambda: api.get(path).data["status"] == {"disabled": False})
    (delivery,) = api.get("/deliveries", channelId=made["id"]).data["deliveries"]
    assert [attempt["ok"] for attempt in delivery["attempts"]] == [False, True]
    assert delivery["id"] == hook.posted[0].headers[f"{PREFIX}-event-id"]
    assert api.post(f"/deliveries/{delivery['id']}/resend").status == 200
    await_that(lambda: len(hook.posted) == 2)
    assert hook.posted[1].headers[f"{PREFIX}-event-id"] == delivery["id"]


def test_tags_restrict(api: Api, breakable: Breakable, hook: Hook) -> None:
    tags = {"tags": {"enabled": True, "items": ["gold"], "matchCondition": "and"}}
    more = {"restricted": True, "projects": [breakable.project], "restrictions": tags}
    made = api.post("/integrations/notifications", integration(hook, **more)).data
    assert made["restrictions"] == tags
    breakable.back_up()
    assert api.get("/deliveries", channelId=made["id"]).data["deliveries"] == []
    api.patch(breakable.path, {"tags": ["gold"]})
    breakable.back_up()
    await_that(lambda: len(hook.posted) == 2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"events": {"trigger:build:start": True}}, "events.trigger:build:start"),
        ({"type": "PIGEON"}, "type"),
        ({"type": "SLACK"}, "secret"),
        ({"webhook": "http://169.254.169.254/"}, "webhook"),
        ({"webhook": None}, "webhook"),
        ({"restricted": True, "projects": ["nowhere"]}, "projects[0]"),
    ],
)
def test_what_is_wrong_is_named(
    js: JsClient, hook: Hook, change: dict[str, Any], field: str
) -> None:
    refused = js.call("create.notification", parameters={}, data=integration(hook, **change))
    assert refused["error"]["status"] == 400
    assert field in refused["error"]["details"]


@pytest.mark.parametrize("kind", ["SLACK", "DISCORD", "TEAMS", "TEAMS_WORKFLOWS"])
def test_chats_get_words(api: Api, breakable: Breakable, hook: Hook, kind: str) -> None:
    body = integration(hook, type=kind, restricted=True, projects=[breakable.project])
    del body["secret"]
    made = api.post("/integrations/notifications", body).data
    breakable.back_up()
    await_that(lambda: len(hook.posted) == 2)
    assert b"addon-backup:success" in hook.posted[1].body
    api.delete(f"/integrations/notifications/{made['id']}")
