"""S1 to S3, schedules of addons as a whole, and what a schedule is asked about itself."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.bodies import WEEKLY
from fixtures.holdfast import Api, Server, fresh
from fixtures.s3 import S3Server

pytestmark = pytest.mark.sqlite_first

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HOURLY = {"interval": "hourly", "minute": [30, 0]}
DAILY = {"interval": "daily", "minute": [30], "hour": [3]}
QUESTIONS = {"": {}, "/occurrences": {}, "/history": {}, "/why": {"at": "2026-01-01T00:00:00Z"}}
AS_PRINTED = {
    "scheduling": WEEKLY,
    "backupType": "snapshot",
    "additionalDestinations": [{"retentionTime": 7}],
    "compressionType": "gz",
    "retentionTime": 7,
}
"""The request body of the reference's example."""


def order(scheduling: dict[str, Any] = DAILY, **more: Any) -> dict[str, Any]:
    return {"scheduling": scheduling, "backupType": "dump", "retentionTime": 7, **more}


@pytest.fixture
def path(attached: Attached) -> str:
    return f"{attached.path}/backup-schedules"


@pytest.fixture(scope="session")
def _kept() -> dict[str, str]:
    return {}


@pytest.fixture
def quiet(server: Server, attach_one: Callable[..., Attached], _kept: dict[str, str]) -> str:
    """One addon for everything that is refused."""
    if server.url not in _kept:
        _kept[server.url] = f"{attach_one().path}/backup-schedules"
    return _kept[server.url]


@pytest.fixture
def offsite(api: Api, s3_server: S3Server) -> str:
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": fresh("Offsite"), "type": "s3", "prefix": "hf/", "credentials": credentials}
    return api.post("/backup-destinations", body).data["id"]


def test_the_life_of_a_schedule(api: Api, path: str) -> None:
    made = api.post(path, order(compressionType="zstd")).data
    assert list(made) == ["id"]
    assert re.fullmatch("[0-9a-f]{24}", made["id"])
    answer = api.get(path)
    assert answer.pagination == {"hasNextPage": False, "count": 1}
    assert list(answer.data) == ["schedules"]
    (shown,) = answer.data["schedules"]
    for name in ("createdAt", "updatedAt", "nextAt"):
        assert INSTANT.fullmatch(shown.pop(name))
    assert shown == {
        "id": made["id"],
        "backupType": "dump",
        "backupCompressionType": "zstd",
        "scheduling": DAILY,
        "retentionTime": 7,
    }
    one = f"{path}/{made['id']}"
    assert api.get(one).data["id"] == made["id"]
    changed = api.patch(one, {"retentionTime": 60}).data
    assert (changed["retentionTime"], changed["scheduling"]) == (60, DAILY)
    assert changed["updatedAt"] > changed["createdAt"]
    assert api.delete(one).data == {}
    assert api.delete(one).status == 404
    assert api.get(one).status == 404
    assert api.get(path).data == {"schedules": []}


def test_an_addon_has_one_of_each_kind_newest_first(api: Api, path: str) -> None:
    bodies = [
        order(scheduling, backupType=kind)
        for kind in ("dump", "snapshot")
        for scheduling in (HOURLY, DAILY, WEEKLY)
    ]
    made = [api.post(path, body).data["id"] for body in bodies]
    for query in ({}, {"per_page": 2}, {"page": 1, "per_page": 100}):
        answer = api.get(path, **query)
        assert [each["id"] for each in answer.data["schedules"]] == made[::-1]
        assert answer.pagination == {"hasNextPage": False, "count": 6}
    assert api.get(path, page=2).data == {"schedules": []}
    assert "backupCompressionType" not in api.get(path).data["schedules"][0], "a snapshot has none"
    for body, existing in zip(bodies, made, strict=True):
        again = api.post(path, {**body, "retentionTime": 6})
        assert again.status == 409
        assert existing in again.error["message"]
    for query in ({"per_page": 0}, {"page": "x"}, {"cursor": "0" * 24}):
        assert (api.get(path, **query).status, len(query)) == (400, 1)


def test_an_identical_post_gets_the_first_answer(api: Api, path: str) -> None:
    first, second = (api.post(path, order()).body for _ in range(2))
    assert first == second
    assert len(api.get(path).data["schedules"]) == 1


def test_after_a_delete_the_same_post_means_a_new_one(api: Api, path: str) -> None:
    first = api.post(path, order()).data["id"]
    api.delete(f"{path}/{first}")
    assert api.post(path, order()).data["id"] != first


def test_the_reference_example_names_what_it_lacks(api: Api, quiet: str) -> None:
    answer = api.post(quiet, AS_PRINTED)
    assert answer.status == 400
    assert answer.details == {"additionalDestinations[0].destinationId": "is required"}


def test_the_reference_example_with_a_destination(api: Api, path: str, offsite: str) -> None:
    """`gz` is accepted with a snapshot and means nothing; `type` defaults to `custom`."""
    more = [{"destinationId": offsite, "retentionTime": 3}]
    api.post(path, {**AS_PRINTED, "additionalDestinations": more})
    (shown,) = api.get(path).data["schedules"]
    assert shown["additionalDestinations"] == [{**more[0], "type": "custom"}]
    assert shown["scheduling"] == WEEKLY
    assert "backupCompressionType" not in shown


def matrix() -> Iterable[tuple[dict[str, Any], list[str]]]:
    """Every combination of an interval and the arrays sent with it, and what is wrong with it."""
    needs = {"hourly": {"minute"}, "daily": {"minute", "hour"}, "weekly": {"minute", "hour", "day"}}
    for interval, needed in needs.items():
        for chosen in range(8):
            names = {n for bit, n in enumerate(("minute", "hour", "day")) if chosen >> bit & 1}
            if names != needed:
                yield (
                    {"interval": interval, **{name: [1] for name in sorted(names)}},
                    sorted(f"scheduling.{name}" for name in names ^ needed),
                )


@pytest.mark.parametrize(("scheduling", "fields"), list(matrix()))
def test_each_interval_has_exactly_its_arrays(
    api: Api, quiet: str, scheduling: dict[str, Any], fields: list[str]
) -> None:
    answer = api.post(quiet, order(scheduling))
    assert (answer.status, sorted(answer.details)) == (400, fields)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scheduling": None}, "scheduling"),
        ({"scheduling": {**DAILY, "interval": "monthly"}}, "scheduling.interval"),
        ({"scheduling": {**DAILY, "interval": ["daily"]}}, "scheduling.interval"),
        ({"scheduling": {**DAILY, "every": 2}}, "scheduling.every"),
        ({"scheduling": {**HOURLY, "minute": []}}, "scheduling.minute"),
        ({"scheduling": {**HOURLY, "minute": 5}}, "scheduling.minute"),
        ({"scheduling": {**HOURLY, "minute": [5, 5]}}, "scheduling.minute"),
        ({"scheduling": {**HOURLY, "minute": [60]}}, "scheduling.minute[0]"),
        ({"scheduling": {**HOURLY, "minute": [0, -1]}}, "scheduling.minute[1]"),
        ({"scheduling": {**HOURLY, "minute": [True]}}, "scheduling.minute[0]"),
        ({"scheduling": {**HOURLY, "minute": [1.0]}}, "scheduling.minute[0]"),
        ({"scheduling": {**HOURLY, "minute": ["1"]}}, "scheduling.minute[0]"),
        ({"scheduling": {**HOURLY, "hour": []}}, "scheduling.hour"),
        ({"scheduling": {**DAILY, "hour": [24]}}, "scheduling.hour[0]"),
        ({"scheduling": {**DAILY, "day": []}}, "scheduling.day"),
        ({"scheduling": {**WEEKLY, "day": [7]}}, "scheduling.day[0]"),
        ({"backupType": None}, "backupType"),
        ({"backupType": "full"}, "backupType"),
        ({"retentionTime": None}, "retentionTime"),
        ({"retentionTime": 0}, "retentionTime"),
        ({"retentionTime": 121}, "retentionTime"),
        ({"retentionTime": 7.0}, "retentionTime"),
        ({"retentionTime": "7"}, "retentionTime"),
        ({"retentionTime": True}, "retentionTime"),
        ({"scheduling": HOURLY, "retentionTime": 8}, "retentionTime"),
        ({"scheduling": DAILY, "retentionTime": 61}, "retentionTime"),
        ({"compressionType": "xz"}, "compressionType"),
        ({"compresionType": "gz"}, "compresionType"),
        ({"backup_type": "dump"}, "backup_type"),
        ({"customDestinationId": "none-such"}, "customDestinationId"),
        ({"customDestinationId": "a_b"}, "customDestinationId"),
        ({"backupType": "snapshot", "customDestinationId": "abc"}, "customDestinationId"),
        ({"additionalDestinations": [{"destinationId": "abc"}]}, "additionalDestinations"),
        (
            {
                "backupType": "snapshot",
                "additionalDestinations": [{"destinationId": "abc", "type": "managed"}],
            },
            "additionalDestinations[0].type",
        ),
        (
            {"backupType": "snapshot", "additionalDestinations": [{"destinationId": "none-such"}]},
            "additionalDestinations[0].destinationId",
        ),
    ],
)
def test_what_is_wrong_is_named(api: Api, quiet: str, change: dict[str, Any], field: str) -> None:
    body = {name: value for name, value in {**order(), **change}.items() if value is not None}
    answer = api.post(quiet, body)
    assert (answer.status, list(answer.details)) == (400, [field])
    assert api.get(quiet).data == {"schedules": []}


def test_a_schedule_keeps_500_backups_at_most(api: Api, path: str) -> None:
    """Three a hour for seven days are 504."""
    crowded = {"interval": "hourly", "minute": [0, 20, 40]}
    answer = api.post(path, order(crowded))
    assert (answer.status, list(answer.details)) == (400, ["retentionTime"])
    assert "504" in answer.error["message"]
    fits = api.post(path, order(crowded, retentionTime=6)).data["id"]
    assert api.patch(f"{path}/{fits}", {"retentionTime": 7}).details.keys() == {"retentionTime"}
    assert api.patch(f"{path}/{fits}", {"retentionTime": 8}).details.keys() == {"retentionTime"}
    assert api.patch(f"{path}/{fits}", {"scheduling": DAILY}).details.keys() == {
        "retentionTime",
        "scheduling",
    }


def test_a_snapshot_copy_obeys_the_same_caps(api: Api, path: str, offsite: str) -> None:
    copy = {"destinationId": offsite, "retentionTime": 8}
    body = order(HOURLY, backupType="snapshot", additionalDestinations=[copy])
    answer = api.post(path, body)
    assert list(answer.details) == ["additionalDestinations[0].retentionTime"]
    twice = [{"destinationId": offsite}, {"destinationId": offsite}]
    answer = api.post(path, order(backupType="snapshot", additionalDestinations=twice))
    assert list(answer.details) == ["additionalDestinations[1].destinationId"]


def test_a_destination_stays_while_a_schedule_sends_backups_there(
    api: Api, path: str, offsite: str
) -> None:
    dump = api.post(path, order(customDestinationId=offsite)).data["id"]
    more = [{"destinationId": offsite}]
    snapshot = api.post(path, order(backupType="snapshot", additionalDestinations=more)).data["id"]
    shown = {each["id"]: each for each in api.get(path).data["schedules"]}
    assert shown[dump]["customDestinationId"] == offsite
    refused = api.delete(f"/backup-destinations/{offsite}")
    assert refused.status == 409
    assert [text.split()[0] for text in refused.details["schedules"]] == [dump, snapshot]
    api.delete(f"{path}/{dump}")
    refused = api.delete(f"/backup-destinations/{offsite}")
    assert [text.split()[0] for text in refused.details["schedules"]] == [snapshot]
    api.delete(f"{path}/{snapshot}")
    assert api.delete(f"/backup-destinations/{offsite}").data == {}


def test_an_addon_may_bring_its_schedules(api: Api, attached: Attached) -> None:
    """Absent leaves them alone; present, they are all there is. What is equal keeps its id."""
    address = attached.postgres.url(attached.database)
    body = {"name": fresh("Whole"), "type": "postgresql", "connectionString": address}
    addons = f"/projects/{attached.project}/addons"
    made = api.post(addons, {**body, "backupSchedules": [order(), order(WEEKLY)]}).data
    one = f"{addons}/{made['id']}"
    weekly, daily = made["backupSchedules"]
    assert (weekly["scheduling"], daily["scheduling"]) == (WEEKLY, DAILY)
    assert api.patch(one, {"description": "Same"}).data["backupSchedules"] == [weekly, daily]

    changed = [order(retentionTime=8), order(HOURLY)]
    patched = api.patch(one, {"backupSchedules": changed}).data["backupSchedules"]
    assert [each["scheduling"]["interval"] for each in patched] == ["hourly", "daily"]
    assert (patched[1]["id"], patched[1]["retentionTime"]) == (daily["id"], 8)
    same = api.put(addons, {**body, "backupSchedules": changed[::-1]}).data["backupSchedules"]
    assert same == patched
    assert api.get(one).data["backupSchedules"] == patched
    assert api.patch(one, {"backupSchedules": []}).data["backupSchedules"] == []


@pytest.mark.parametrize(
    ("schedules", "field"),
    [
        ([order(), order(retentionTime=8)], "backupSchedules[1].scheduling.interval"),
        ([order(WEEKLY), order(retentionTime=61)], "backupSchedules[1].retentionTime"),
        ([order({**DAILY, "minute": [70]})], "backupSchedules[0].scheduling.minute[0]"),
        ([order(customDestinationId="none-such")], "backupSchedules[0].customDestinationId"),
        ([order(unknown=1)], "backupSchedules[0].unknown"),
        ({"scheduling": DAILY}, "backupSchedules"),
    ],
)
def test_a_bad_one_among_them_changes_nothing(
    api: Api, quiet: str, schedules: Any, field: str
) -> None:
    addon = quiet.removesuffix("/backup-schedules")
    answer = api.patch(addon, {"description": "Not this", "backupSchedules": schedules})
    assert (answer.status, list(answer.details)) == (400, [field])
    assert "description" not in api.get(addon).data
    assert api.get(quiet).data == {"schedules": []}


def test_a_deleted_addon_has_no_schedules(api: Api, attached: Attached) -> None:
    path = f"{attached.path}/backup-schedules"
    api.post(path, order())
    api.delete(attached.path)
    body = {
        "name": attached.addon.replace("-", " "),
        "type": "postgresql",
        "connectionString": attached.postgres.url(attached.database),
    }
    again = api.post(f"/projects/{attached.project}/addons", body).data
    assert again["id"] == attached.addon
    assert again["backupSchedules"] == []


def test_what_comes_next(api: Api, path: str) -> None:
    made = api.post(path, order({**WEEKLY, "hour": [6, 18]})).data["id"]
    one = f"{path}/{made}/occurrences"
    found = [datetime.fromisoformat(e["at"]) for e in api.get(one).data["occurrences"]]
    assert len(found) == 10
    assert found == sorted(found)
    assert all(each.weekday() == 4 and each.minute == 30 for each in found), "day 4 is a Friday"
    assert {each.hour for each in found} == {6, 18}
    assert datetime.now(UTC) < found[0] < datetime.now(UTC) + timedelta(days=7)
    assert len(api.get(one, next=1000).data["occurrences"]) == 1000
    assert [e["at"] for e in api.get(one, next=1).data["occurrences"]] == [
        api.get(f"{path}/{made}").data["nextAt"]
    ]
    for wrong in (0, 1001, "x", ""):
        assert api.get(one, next=wrong).details.keys() == {"next"}


def test_why_not(api: Api, path: str) -> None:
    made = api.post(path, order()).data["id"]
    why = f"{path}/{made}/why"
    (due,) = [e["at"] for e in api.get(f"{path}/{made}/occurrences", next=1).data["occurrences"]]

    def asked(at: str) -> tuple[str, str]:
        found = api.get(why, at=at).data
        return found["outcome"], found["sentence"]

    assert asked(due)[0] == "not-yet"
    assert "due in" in asked(due)[1]
    between = datetime.fromisoformat(due) + timedelta(seconds=7)
    outcome, sentence = asked(between.isoformat())
    assert (outcome, due in sentence) == ("not-due", True)
    assert asked("2020-01-01T03:30:00Z")[0] == "before"
    assert api.get(f"{path}/{made}/history").data == {"occurrences": []}
    api.delete(f"{path}/{made}")
    assert asked(due)[0] == "after", "a deleted schedule can still be asked"
    assert api.get(f"{path}/{made}/history").status == 200
    assert api.get(f"{path}/{made}/occurrences").status == 404
    for wrong in ("yesterday", "1969-01-01T00:00:00Z", "9999-12-31T23:59:59Z", ""):
        assert api.get(why, at=wrong).details.keys() == {"at"}
    assert api.get(why).details.keys() == {"at"}


def test_it_is_paused_and_resumed(api: Api, path: str) -> None:
    one = f"{path}/{api.post(path, order()).data['id']}"
    before = api.get(one).data
    paused = api.post(f"{one}/pause", {"reason": "the server moves"}).data
    assert (paused["pausedBy"], paused["pauseReason"]) == ("owner", "the server moves")
    assert "nextAt" not in paused
    assert api.get(f"{one}/occurrences").data["occurrences"] == []
    resumed = api.post(f"{one}/resume", {}).data
    assert {**resumed, "updatedAt": ""} == {**before, "updatedAt": ""}
    assert api.post(f"{one}/resume", {}).status == 409
    actions = [entry["action"] for entry in api.get("/audit-log", kind="schedule").data["entries"]]
    assert actions[:2] == ["resume_schedule", "pause_schedule"]


def test_who_may(api: Api, attached: Attached, token_of: Callable[..., Api]) -> None:
    path = f"{attached.path}/backup-schedules"
    made = api.post(path, order()).data["id"]
    one = f"{path}/{made}"
    reader = token_of(["Project > Addons > General > Read"])
    for question, query in QUESTIONS.items():
        assert reader.get(one + question, **query).status == 200
    for refused in (reader.post(path, order(WEEKLY)), reader.patch(one, {"retentionTime": 8})):
        assert refused.status == 403
        assert "Project > Addons > General > Update" in refused.error["message"]
    assert reader.delete(one).status == reader.post(f"{one}/pause", {}).status == 403
    assert reader.post(f"{one}/resume", {}).status == 403
    stranger = token_of("owner", projects=[api.project()])
    for answer in (
        stranger.get(path),
        *(stranger.get(one + question, **query) for question, query in QUESTIONS.items()),
        stranger.post(path, order(WEEKLY)),
        stranger.delete(one),
    ):
        assert answer.status == 404
        assert attached.addon not in answer.error["message"]


def test_below_a_team_and_of_the_right_addon(api: Api, attach_one: Callable[..., Attached]) -> None:
    mine, other = attach_one(), attach_one()
    team = api.based("/v1/teams/mine")
    made = team.post(f"{mine.path}/backup-schedules", order()).data["id"]
    assert team.get(f"{mine.path}/backup-schedules").data["schedules"][0]["id"] == made
    for question, query in QUESTIONS.items():
        answer = api.get(f"{other.path}/backup-schedules/{made}{question}", **query)
        assert answer.status == 404
    assert api.delete(f"{other.path}/backup-schedules/{made}").status == 404
    assert team.delete(f"{mine.path}/backup-schedules/{made}").data == {}
