"""What pages do is what the API does: same permissions, sentences next to fields, audit entries."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.dashboard import Shop, Shown, Visitor, open_shop
from fixtures.holdfast import OVER, Api, await_that, fresh


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        shop.api.post("/projects", {"name": "Shop"})
        yield shop


@pytest.fixture(scope="module")
def owner(shop: Shop) -> Visitor:
    return shop.visitor()


@pytest.fixture
def orders(shop: Shop) -> str:
    """The address of a new database's page."""
    return (
        shop.attach("shop", fresh("orders").replace(" ", "-"))
        .replace("/projects/", "/p/", 1)
        .replace("/addons/", "/", 1)
    )


def api_path(page: str) -> str:
    _, _, project, addon, *rest = page.split("/")
    return "/".join(["", "projects", project, "addons", addon, *rest])


def await_over(shop: Shop, page: str) -> dict[str, Any]:
    """The backup of that page once it is over."""

    def over() -> dict[str, Any] | None:
        backup = shop.api.get(api_path(page)).data
        return backup if backup["status"] in OVER else None

    return await_that(over)


def problem_at(shown: Shown, field: str) -> str:
    """What is said next to a field."""
    match = re.search(rf'<span class="hint bad" id="{field}-p">(.*?)</span>', shown.html, re.DOTALL)
    return match[1].strip() if match else ""


def test_back_up_now(shop: Shop, owner: Visitor, orders: str) -> None:
    page = owner.follow(owner.send(owner.get(orders), f"{orders}/backups"))
    assert await_over(shop, page.url)["status"] == "completed"
    text = owner.get(page.url).text
    assert "Good:" in text
    assert "completed" in text
    newest = shop.api.get("/audit-log", objectId=page.url.rpartition("/")[2]).data["entries"][0]
    assert newest["action"] == "create_backup"
    assert newest["actor"]["name"] == "owner"
    assert newest["address"] == "127.0.0.1"


def test_a_backup_is_deleted_by_its_typed_name_alone(
    shop: Shop, owner: Visitor, orders: str
) -> None:
    backup = shop.back_up(api_path(orders))
    page = f"{orders}/backups/{backup}"
    wrong = owner.send(owner.get(page), f"{page}/delete", typed="something")
    assert wrong.status == 400
    assert "nothing was deleted" in wrong.text
    last = owner.send(owner.get(page), f"{page}/delete", typed=backup)
    assert last.status == 409, "it is the last good one"
    assert shop.api.get(api_path(page)).data["status"] == "completed"
    gone = owner.send(owner.get(page), f"{page}/delete", typed=backup, force="on")
    assert gone.status == 303
    assert shop.api.ask("GET", api_path(page)).status == 404


def test_deleting_needs_a_fresh_sign_in(shop: Shop, orders: str) -> None:
    tired = shop.visitor(minutes_ago=30)
    backup = shop.back_up(api_path(orders))
    page = f"{orders}/backups/{backup}"
    answer = tired.send(tired.get(page), f"{page}/delete", typed=backup, force="on")
    assert answer.status != 303 or "/signin" in answer.response.headers["location"]
    assert shop.api.get(api_path(page)).data["status"] == "completed"


def test_a_schedule_with_a_bad_minute_says_so_at_the_field(
    shop: Shop, owner: Visitor, orders: str
) -> None:
    fields = {
        "backupType": "dump",
        "scheduling.interval": "daily",
        "scheduling.minute": "75",
        "scheduling.hour": "2",
        "retentionTime": "14",
    }
    form = owner.get(f"{orders}/schedules/new")
    bad = owner.send(form, f"{orders}/schedules", **fields)
    assert bad.status == 400
    assert "59" in problem_at(bad, "f-scheduling-minute")
    assert 'value="75"' in bad.html, "what was typed is still there"
    assert 'value="14"' in bad.html
    good = owner.send(bad, f"{orders}/schedules", **{"scheduling.minute": "15"})
    assert "at 02:15" in owner.follow(good).text.lower()


def test_a_schedule_is_changed_paused_and_deleted(shop: Shop, owner: Visitor, orders: str) -> None:
    body = {
        "backupType": "dump",
        "scheduling": {"interval": "daily", "minute": [0], "hour": [2]},
        "retentionTime": 7,
    }
    schedules = f"{api_path(orders)}/backup-schedules"
    schedule = shop.api.post(schedules, body).data["id"]
    page = f"{orders}/schedules/{schedule}"
    kept = owner.send(owner.get(page), page, retentionTime="9")
    assert kept.response.headers["location"] == page
    assert shop.api.get(f"{schedules}/{schedule}").data["retentionTime"] == 9
    why = "the server moves"
    assert owner.send(owner.get(page), f"{page}/pause", reason=why).status == 303
    assert "The server moves." in owner.get(page).text
    assert "paused" in owner.get(orders).text
    assert owner.send(owner.get(page), f"{page}/resume").status == 303
    bad = owner.send(owner.get(page), page, **{"scheduling.hour": "25"})
    assert "23" in problem_at(bad, "f-scheduling-hour")
    moved = owner.send(owner.get(page), page, **{"scheduling.hour": "4"})
    assert moved.status == 303
    (only,) = shop.api.get(schedules).data["schedules"]
    assert only["scheduling"]["hour"] == [4]
    gone = owner.post(f"{orders}/schedules/{only['id']}/delete")
    assert gone.status == 303
    assert shop.api.get(schedules).data["schedules"] == []


def test_a_restore_asks_for_the_name_and_shows_its_steps(
    shop: Shop, owner: Visitor, orders: str
) -> None:
    backup, addon = shop.back_up(api_path(orders)), orders.rpartition("/")[2]
    check = owner.get(f"{orders}/restore/check?backup={backup}&where=here")
    assert "nothing in the way" in check.text
    wrong = owner.send(check, f"{orders}/restore", typed="carts")
    assert wrong.status == 400
    assert "nothing was changed" in wrong.text
    assert shop.api.get(f"{api_path(orders)}/restores").data["restores"] == []
    page = owner.follow(owner.send(check, f"{orders}/restore", typed=addon))
    assert "Load beside" in page.text

    def restored() -> bool:
        (only,) = shop.api.get(f"{api_path(orders)}/restores").data["restores"]
        return only["status"] in OVER

    await_that(restored)
    assert "has the data of" in owner.get(page.url).text


def test_a_drill_and_its_opinion(shop: Shop, owner: Visitor, orders: str) -> None:
    shop.back_up(api_path(orders))
    page = owner.follow(owner.send(owner.get(orders), f"{orders}/drills"))
    await_that(lambda: "verdict" in shop.api.get(api_path(page.url)).data)
    shown = owner.get(page.url)
    assert "Passed" in shown.text
    given = owner.send(shown, f"{page.url}/opinions", passed="yes", note="I looked at it")
    assert "I looked at it" in owner.follow(given).text


def test_questions_of_drills(shop: Shop, owner: Visitor, orders: str) -> None:
    form = owner.get(f"{orders}/proof")
    first = {"assertions[0].name": "has things", "assertions[0].text": "select 1"}
    bad = owner.send(form, f"{orders}/proof/questions", **first, **{"assertions[0].seconds": "0"})
    assert bad.status == 400
    assert "1" in problem_at(bad, "f-assertions-0-seconds")
    saved = owner.send(bad, f"{orders}/proof/questions", **{"assertions[0].seconds": "5"})
    assert saved.status == 303
    (only,) = shop.api.get(f"{api_path(orders)}/assertions").data["assertions"]
    assert (only["name"], only["seconds"]) == ("has things", 5)


def test_attaching_says_at_the_field_what_is_wrong(shop: Shop, owner: Visitor) -> None:
    form = owner.get("/addons/new")
    missing = f"sqlite://{shop.files}/nothing.db"
    fields = {"name": "Lost file", "project": "shop", "connectionString": missing}
    bad = owner.send(form, "/addons/new", **fields)
    assert bad.status == 400
    assert "nothing.db" in problem_at(bad, "f-connectionString")
    assert 'value="Lost file"' in bad.html
    assert missing not in bad.html.replace(problem_at(bad, "f-connectionString"), ""), "a secret"


def test_a_connection_is_tested_before_it_is_attached(shop: Shop, owner: Visitor) -> None:
    form = owner.get("/addons/new")
    string = f"sqlite://{shop.files}/orders.db"
    fields = {"name": "Twice", "project": "shop"}
    bad = owner.send(form, "/addons/new/test", connectionString=f"{string}x", **fields)
    assert (bad.status, "orders.dbx" in bad.html) == (400, True)
    good = owner.send(form, "/addons/new/test", connectionString=string, **fields)
    assert "It works: SQLite" in good.html
    assert string not in good.html, "a secret"
    attached = owner.send(good, "/addons/new", **fields)
    assert attached.status == 303, "what was typed is carried sealed"


def test_a_project_by_the_way(shop: Shop, owner: Visitor, orders: str) -> None:
    made = owner.send(owner.get("/projects"), "/projects", name="By the way")
    page = owner.follow(made)
    wrong = owner.send(page, f"{page.url}/delete", typed="other")
    assert wrong.status == 400
    assert owner.send(page, f"{page.url}/delete", typed="by-the-way").status == 303
    assert shop.api.ask("GET", "/projects/by-the-way").status == 404
    bad = owner.send(owner.get("/projects"), "/projects", name="x")
    assert "3" in problem_at(bad, "f-name")


def test_objectives(shop: Shop, owner: Visitor, orders: str) -> None:
    form = owner.get(f"{orders}/objective")
    bad = owner.send(form, f"{orders}/objective", maxAgeMinutes="soon")
    assert problem_at(bad, "f-maxAgeMinutes")
    assert owner.send(bad, f"{orders}/objective", maxAgeMinutes="90").status == 303
    assert shop.api.get(f"{api_path(orders)}/objective").data == {"maxAgeMinutes": 90}
    assert "1 h 30 min" in owner.get(orders).text


def test_a_channel_is_added_tested_and_deleted(shop: Shop, owner: Visitor) -> None:
    form = owner.get("/channels/new?kind=webhook")
    bad = owner.send(form, "/channels", name="Hook", **{"settings.url": "nonsense"})
    assert problem_at(bad, "f-settings-url")
    made = owner.send(bad, "/channels", **{"settings.url": "http://127.0.0.1:9/hook"})
    assert made.status == 200
    assert "shown once" in made.text
    (channel,) = shop.api.get("/channels").data["channels"]
    page = f"/channels/{channel['id']}"
    assert "did not arrive" in owner.post(f"{page}/test").text
    assert owner.post(f"{page}/delete").status == 303
    assert shop.api.get("/channels").data["channels"] == []


def test_an_alarm_is_taken_and_kept_quiet(shop: Shop, owner: Visitor, orders: str) -> None:
    addon = orders.rpartition("/")[2]
    hourly = {"interval": "hourly", "minute": [59]}
    schedule = {"backupType": "dump", "scheduling": hourly, "retentionTime": 7}
    shop.api.post(f"{api_path(orders)}/backup-schedules", schedule)
    shop.file_of[addon].unlink()
    shop.api.post(f"{api_path(orders)}/backups", {"backupType": "dump"})

    def open_alarm() -> dict[str, Any] | None:
        alarms = shop.api.get("/alarms", open=True).data["alarms"]
        return next((each for each in alarms if each.get("addonId") == addon), None)

    alarm = await_that(open_alarm)
    assert owner.post(f"/alarms/{alarm['id']}/acknowledge").status == 303
    assert owner.post(f"/alarms/{alarm['id']}/snooze", {"minutes": "60"}).status == 303
    after = shop.api.get(f"/alarms/{alarm['id']}").data
    assert after["acknowledgedBy"] == "owner"
    assert "snoozedUntil" in after


def test_a_destination_that_does_not_work_is_not_added(shop: Shop, owner: Visitor) -> None:
    fields = {
        "name": "Nowhere",
        "credentials.endpoint": "http://127.0.0.1:9",
        "credentials.bucketName": "bucket",
        "credentials.accessKey": "key",
        "credentials.secretKey": "very-secret",
    }
    bad = owner.send(owner.get("/places/new"), "/places", **fields)
    assert bad.status == 400
    assert "the destination does not work" in bad.text.lower()
    assert "very-secret" not in bad.html
    assert shop.api.get("/backup-destinations").data["backupDestinations"] == []


def test_a_recovery_kit_is_shown_once(shop: Shop, owner: Visitor, orders: str) -> None:
    shop.back_up(api_path(orders), "snapshot")
    kit = owner.post("/places/platform/recovery-kit")
    assert kit.status == 200
    assert "restic -r" in kit.text
    assert kit.response.headers["cache-control"] == "no-store"


def test_a_signed_report_is_made_and_fetched(shop: Shop, owner: Visitor, orders: str) -> None:
    made = owner.send(owner.get("/proof"), "/proof/reports", **{"from": "2026-01-01"})
    assert made.status == 303
    number = shop.api.get("/proof/reports").data["reports"][0]["number"]
    for file in ("html", "json", "sig"):
        fetched = owner.get(f"/proof/reports/{number}/{file}")
        direct = shop.api.raw("GET", f"/proof/reports/{number}/{file}")
        assert fetched.response.content == direct.content
        assert "attachment" in fetched.response.headers["content-disposition"]
    assert owner.get("/proof/reports/99/html").status == 404


def test_nothing_is_changed_without_the_token_or_from_elsewhere(
    shop: Shop, owner: Visitor, orders: str
) -> None:
    before = len(shop.api.get(f"{api_path(orders)}/backups").data["backups"])
    assert owner.post(f"{orders}/backups", {"csrf": "wrong"}).status == 403
    elsewhere = owner.post(f"{orders}/backups", **{"sec-fetch-site": "cross-site"})
    assert elsewhere.status == 403
    assert len(shop.api.get(f"{api_path(orders)}/backups").data["backups"]) == before


def test_a_role_that_only_reads_changes_nothing(shop: Shop, orders: str) -> None:
    read = ["Project > Addons > General > Read", "Project > Projects > Manage > Read"]
    role = shop.api.post("/roles", {"name": fresh("Reader"), "permissions": read}).data["id"]
    token = shop.api.post("/tokens", {"name": "reader", "role": role}).data["token"]
    reader = shop.visitor(Api(shop.server.url, token))
    page = reader.get(orders)
    assert "Back up now" not in page.text
    assert reader.post(f"{orders}/backups").status == 403
    assert reader.post(f"{orders}/power/pause").status == 403
    assert reader.get(f"{orders}/backups/nothing/log").status == 403


def test_activity_has_both_people_and_holdfast(shop: Shop, owner: Visitor, orders: str) -> None:
    backup = shop.back_up(api_path(orders))
    rows = list(csv.DictReader(io.StringIO(owner.get("/activity?format=csv").html)))
    addon = orders.rpartition("/")[2]
    mine = [row for row in rows if row["database"] == addon]
    assert any(row["who"] == "owner" and backup in row["what"] for row in mine)
    assert any(row["who"] == "Holdfast" and "completed" in row["what"] for row in mine)
    people = owner.get("/activity?show=changes&format=csv").html
    assert "Holdfast" not in {row["who"] for row in csv.DictReader(io.StringIO(people))}
