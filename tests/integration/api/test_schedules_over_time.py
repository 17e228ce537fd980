"""What schedules did, as the API shows it: the clock is set, everything else is real."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from fixtures import asked
from fixtures.attached import Attached, Own, attach
from fixtures.holdfast import Api
from fixtures.listening import listening
from fixtures.s3 import S3Server
from fixtures.timetables import Timetable, moment
from holdfast.bootstrap import make_owner

HOURLY = {"interval": "hourly", "minute": [0]}
DAILY = {"interval": "daily", "minute": [0], "hour": [11]}


@dataclass
class Timed:
    api: Api
    timetable: Timetable
    addon: Attached

    def schedule(self, scheduling: dict[str, Any], days: int, **more: Any) -> str:
        body = {"scheduling": scheduling, "backupType": "dump", "retentionTime": days, **more}
        return self.api.post(f"{self.addon.path}/backup-schedules", body).data["id"]

    def run(self, at: str) -> str:
        """The one backup that is taken at that time, once it is over."""
        (backup,) = self.timetable.at(at)
        self.timetable.work(backup)
        return backup.id

    def backup(self, identifier: str) -> dict[str, Any]:
        return self.api.get(f"{self.addon.path}/backups/{identifier}").data


@pytest.fixture
def timed(timetable: Timetable, own_postgres: Own) -> Iterator[Timed]:
    parts = timetable.parts
    make_owner(parts)
    token = (parts.settings.data_dir / "owner.token").read_text().strip()
    with listening(parts) as url:
        api = Api(url, token)
        place = own_postgres.postgres, api.project(), "Orders", own_postgres.database
        yield Timed(api, timetable, attach(api, *place))


@pytest.fixture
def offsite(timed: Timed, s3_server: S3Server) -> str:
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": "Off site", "type": "s3", "prefix": "", "credentials": credentials}
    return timed.api.post("/backup-destinations", body).data["id"]


def test_a_backup_names_what_caused_it_and_expires_with_the_longest(timed: Timed) -> None:
    hourly, daily = timed.schedule(HOURLY, 7), timed.schedule(DAILY, 60)
    both = timed.backup(timed.run("2026-11-21 11:00"))
    assert both["status"] == "completed"
    assert both["schedules"] == [
        {"id": hourly, **HOURLY, "retentionTime": 7},
        {"id": daily, **DAILY, "retentionTime": 60},
    ]
    assert both["expiresAt"] == "2027-01-20T11:00:00.000Z"
    alone = timed.backup(timed.run("2026-11-21 12:00"))
    assert [cause["id"] for cause in alone["schedules"]] == [hourly]
    path = f"{timed.addon.path}/backup-schedules/{daily}"
    timed.api.patch(path, {"retentionTime": 1})
    assert timed.backup(both["id"]) == both, "what was taken keeps the retention it was taken with"

    (past,) = timed.api.get(f"{path}/history").data["occurrences"]
    assert past == {
        "at": "2026-11-21T11:00:00.000Z",
        "count": 1,
        "outcome": "fired",
        "reason": "on time",
        "decidedAt": "2026-11-21T11:00:00.000Z",
        "lateSeconds": 0.0,
        "backup": {"id": both["id"], "status": "completed"},
    }
    why = timed.api.get(f"{path}/why", at=past["at"]).data
    assert (why["outcome"], why["occurrence"]) == ("fired", past)
    assert why["mergedWith"] == [{"id": hourly, "interval": "hourly"}]
    there = datetime.fromisoformat(past["at"]).astimezone(timezone(timedelta(hours=1))).isoformat()
    assert timed.api.get(f"{path}/why", at=there).data == why, "the same instant elsewhere"


def test_history_comes_in_pages_and_outlives_its_schedule(timed: Timed) -> None:
    hourly = timed.schedule(HOURLY, 7)
    for hour in range(11, 16):
        timed.timetable.at(f"2026-11-21 {hour}:00")
    path = f"{timed.addon.path}/backup-schedules/{hourly}"
    timed.api.delete(path)
    first = timed.api.get(f"{path}/history", per_page=3)
    second = timed.api.get(f"{path}/history", per_page=3, cursor=first.pagination["cursor"])
    assert "cursor" not in second.pagination
    told = [each for page in (first, second) for each in page.data["occurrences"]]
    assert [each["at"][11:13] for each in told] == ["15", "14", "13", "12", "11"]
    assert [each["outcome"] for each in told] == ["skipped"] * 4 + ["fired"]


def test_a_destination_lists_its_copies_to_the_letter(timed: Timed, offsite: str) -> None:
    timed.schedule(DAILY, 7, customDestinationId=offsite)
    path = f"/backup-destinations/{offsite}/backups"
    (backup,) = timed.timetable.at("2026-11-21 11:00")
    (waiting,) = timed.api.get(path).data
    assert (waiting["status"], waiting["config"]["size"]) == ("scheduled", "0")
    assert "completedAt" not in waiting
    timed.timetable.work(backup)

    shown = timed.backup(backup.id)
    answer = timed.api.get(path)
    assert answer.pagination == {"hasNextPage": False, "count": 1}
    project = timed.api.get(f"/projects/{timed.addon.project}").data
    expected = {
        "id": backup.id,
        "name": "2026-11-21 11:00:00",
        "uid": shown["uid"],
        "status": "completed",
        "project": {"id": project["id"], "name": project["name"]},
        "addon": {"id": "orders", "name": "Orders"},
        "config": {
            "addonVersion": shown["config"]["addonVersion"],
            "addonType": "postgresql",
            "source": {"type": "global"},
            "size": shown["config"]["size"],
        },
        "schedules": [DAILY],
        "expiredBy": moment("2026-11-28 11:00"),
        "createdAt": "2026-11-21T11:00:00.000Z",
        "completedAt": "2026-11-21T11:00:00.000Z",
    }
    assert answer.data == [expected]
    assert int(expected["config"]["size"]) > 0

    order = {"name": "By hand", "backupType": "dump", "customDestinationId": offsite}
    by_hand = timed.api.post(f"{timed.addon.path}/backups", order).data["id"]
    timed.api.post(f"{timed.addon.path}/backups/{backup.id}/retain")
    unlimited, retained = timed.api.get(path).data
    assert unlimited["id"] == by_hand
    assert not {"schedules", "expiredBy"} & unlimited.keys()
    del expected["expiredBy"]
    assert retained == expected

    timed.api.delete(timed.addon.path)
    timed.api.delete(f"/projects/{timed.addon.project}", delete_child_objects="true")
    assert timed.api.get(path).data[1] == expected, "an entry outlives its addon and project"


def test_a_page_of_a_destination_costs_the_same_however_long(timed: Timed, offsite: str) -> None:
    for number in range(12):
        order = {"name": f"many {number}", "backupType": "dump", "customDestinationId": offsite}
        timed.api.post(f"{timed.addon.path}/backups", order)
    path = f"/backup-destinations/{offsite}/backups"

    def statements(size: int) -> int:
        """Without those that tell who asks: they are not needed each time."""
        with asked.listening(timed.timetable.parts.catalog) as heard:
            assert len(timed.api.get(path, per_page=size).data) == size
        selects = [each for each, _ in heard if each.startswith("SELECT")]
        return sum("FROM tokens" not in each for each in selects)

    assert statements(2) == statements(12) <= 6
