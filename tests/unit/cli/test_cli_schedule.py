"""`holdfast schedule`: options to arrays, arrays to words, and errors that name the option."""

from typing import Any

import pytest

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import Holdfast
from holdfast.cli.when import in_words, until
from holdfast.client.models.upkeep import Scheduling

SCHEDULES = "/v1/projects/p/addons/a/backup-schedules"
ID = "0123456789abcdef01234567"
DAILY = {
    "id": ID,
    "backupType": "dump",
    "scheduling": {"interval": "daily", "minute": [30], "hour": [3, 15]},
    "retentionTime": 30,
    "nextAt": "2030-01-20T03:30:00.000Z",
}


@pytest.mark.parametrize(
    ("options", "scheduling"),
    [
        ("--every hourly --at :30 --at :00", {"interval": "hourly", "minute": [0, 30]}),
        ("-e hourly --minute 5", {"interval": "hourly", "minute": [5]}),
        (
            "-e daily --at 03:30 --at 15:30",
            {"interval": "daily", "minute": [30], "hour": [3, 15]},
        ),
        (
            "-e daily --at 3:00 --at 3:30 --at 15:00 --at 15:30",
            {"interval": "daily", "minute": [0, 30], "hour": [3, 15]},
        ),
        (
            "-e weekly --day Sunday --day 0 --hour 4 --minute 0",
            {"interval": "weekly", "minute": [0], "hour": [4], "day": [6, 0]},
        ),
    ],
)
def test_options_become_arrays(
    holdfast: Holdfast, scripted: ScriptedApi, options: str, scheduling: dict[str, Any]
) -> None:
    scripted.data("POST", SCHEDULES, {"id": ID})
    scripted.data("GET", f"{SCHEDULES}/{ID}", DAILY)
    ran = holdfast("schedule", "create", *options.split(), "--keep", "7", "-o", "json")
    assert (ran.status, ran.json) == (0, [DAILY])
    assert scripted.asked[0].json == {
        "backupType": "dump",
        "scheduling": scheduling,
        "retentionTime": 7,
    }


def test_everything_can_be_said(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("POST", SCHEDULES, {"id": ID})
    scripted.data("GET", f"{SCHEDULES}/{ID}", DAILY)
    options = "-e hourly --at :00 -k 7 -t snapshot -c zstd -d off-site"
    ran = holdfast("schedule", "create", *options.split())
    assert ran.status == 0
    assert "daily at 03:30 and 15:30" in ran.out
    assert "30 days" in ran.out
    sent = scripted.asked[0].json
    assert (sent["backupType"], sent["compressionType"]) == ("snapshot", "zstd")
    assert sent["customDestinationId"] == "off-site"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--keep 7", "--every"),
        ("--at 03:30 --keep 7", "--every"),
        ("-e daily --at 03:30", "--keep"),
        ("-e daily --keep 7", "--at 03:30"),
        ("-e hourly --keep 7", "--at :30"),
        ("-e hourly --at 03:30 --keep 7", "--at 03:30 is not for hourly"),
        ("-e hourly --hour 3 --minute 0 --keep 7", "--hour"),
        ("-e daily --at :30 --keep 7", "--at :30 is not for daily"),
        ("-e daily --at 24:00 --keep 7", "--at 24:00 is not a time"),
        ("-e daily --at noon --keep 7", "--at noon is not a time"),
        ("-e daily --at 03:30 --day mon --keep 7", "--day"),
        ("-e daily --at 03:30 --hour 3 --keep 7", "either --at or --hour"),
        ("-e daily --at 03:30 --at 15:45 --keep 7", "also mean 03:45, 15:30"),
        ("-e weekly --at 03:30 --keep 7", "--day"),
        ("-e weekly --at 03:30 --day noday --keep 7", "--day noday is not a day"),
        ("-e weekly --at 03:30 --day 7 --keep 7", "--day 7 is not a day"),
    ],
)
def test_a_mistake_names_the_option_before_anything_is_sent(
    holdfast: Holdfast, scripted: ScriptedApi, options: str, says: str
) -> None:
    ran = holdfast("schedule", "create", *options.split())
    assert ran.status == 2
    assert says in " ".join(ran.err.replace("│", " ").split())
    assert scripted.asked == []


def test_people_name_a_schedule_by_its_interval(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    weekly = {**DAILY, "id": ID[::-1], "scheduling": {"interval": "weekly"}}
    again = {**weekly, "id": "0" * 24, "backupType": "snapshot"}
    scripted.data("GET", SCHEDULES, {"schedules": [weekly, again, DAILY]})
    scripted.data("DELETE", f"{SCHEDULES}/{ID}", {})
    scripted.data("PATCH", f"{SCHEDULES}/{ID}", {**DAILY, "retentionTime": 60})
    ran = holdfast("schedule", "delete", "daily", "--force")
    assert (ran.status, ran.err.strip()) == (0, f"deleted schedule {ID}")
    assert "60 days" in holdfast("schedule", "update", "daily", "--keep", "60").out
    assert scripted.of("PATCH", f"{SCHEDULES}/{ID}")[0].json == {"retentionTime": 60}
    for name, says in (("weekly", "several"), ("hourly", "no hourly schedule")):
        ran = holdfast("schedule", "delete", name, "--force")
        assert (ran.status, says in " ".join(ran.err.replace("│", " ").split())) == (2, True)


def test_the_list_reads_well_and_json_is_the_servers(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    more = {**DAILY, "additionalDestinations": [{"destinationId": "off-site"}]}
    scripted.data("GET", SCHEDULES, {"schedules": [more]})
    ran = holdfast("schedule", "list")
    assert "daily at 03:30 and 15:30" in ran.out
    assert "(server), off-site" in ran.out
    assert "2030-01-20 03:30 (in " in ran.out
    assert holdfast("schedule", "list", "-o", "json").json == [more]


def test_next_history_and_why(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    one = f"{SCHEDULES}/{ID}"
    scripted.data("GET", f"{one}/occurrences", {"occurrences": [{"at": DAILY["nextAt"]}]})
    missed = {
        "at": "2026-01-20T03:00:00.000Z",
        "since": "2026-01-19T03:00:00.000Z",
        "count": 2,
        "outcome": "missed",
        "reason": "nothing was there to fire it",
    }
    fired = {"at": "2026-01-18T03:00:00.000Z", "count": 1, "outcome": "fired", "reason": "on time"}
    scripted.data("GET", f"{one}/history", {"occurrences": [missed, fired]})
    told = {"at": missed["at"], "outcome": "missed", "sentence": "It was missed: why not."}
    scripted.data("GET", f"{one}/why", told)
    assert "2030-01-20T03:30:00Z  sun" in holdfast("schedule", "next", ID, "--count", "1").out
    assert scripted.asked[0].query["next"] == "1"
    out = holdfast("schedule", "history", ID).out
    assert "2 since 2026-01-19 03:00: nothing was there" in out
    at = "2026-01-20T03:00:00+00:00"
    assert holdfast("schedule", "why", ID, at).out == "It was missed: why not.\n"
    assert scripted.asked[-1].query == {"at": at}
    assert holdfast("schedule", "why", ID, at, "-o", "json").json == told


@pytest.mark.parametrize(
    ("scheduling", "words"),
    [
        ({"interval": "hourly", "minute": [0]}, "hourly at :00"),
        ({"interval": "hourly", "minute": [0, 20, 40]}, "hourly at :00, :20 and :40"),
        ({"interval": "daily", "minute": [5], "hour": [3]}, "daily at 03:05"),
        (
            {"interval": "weekly", "minute": [30], "hour": [18], "day": [0, 4]},
            "mon and fri at 18:30",
        ),
        (
            {"interval": "hourly", "minute": list(range(0, 60, 5))},
            "hourly at :00, :05, :10, :15 and 8 more",
        ),
    ],
)
def test_arrays_become_words(scheduling: dict[str, Any], words: str) -> None:
    assert in_words(Scheduling.model_validate(scheduling)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "in 0 s"),
        (59, "in 59 s"),
        (61, "in 1 min 1 s"),
        (3 * 3600 + 300, "in 3 h 5 min"),
        (-2 * 86400, "2 d ago"),
    ],
)
def test_how_far_away(seconds: int, words: str) -> None:
    assert until("1970-01-11T00:00:00Z", 864_000_000 - seconds * 1000) == words


def test_what_is_not_an_instant_is_no_distance() -> None:
    assert until("soon") == ""


def test_what_the_server_refuses_is_said_of_the_option(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    details = {"retentionTime": "is at most 7 days", "scheduling.minute": "is odd", "x[0].y": "z"}
    scripted.error("POST", SCHEDULES, 400, "not like this", details=details)
    ran = holdfast("schedule", "create", "-e", "hourly", "--at", ":00", "--keep", "8")
    assert ran.status == 7
    for line in ("--keep: is at most 7 days", "--every/--at: is odd", "x[0].y: z"):
        assert line in ran.err
