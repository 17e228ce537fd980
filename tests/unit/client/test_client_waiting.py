"""Waiting: until the end, through outages, but not for ever."""

import pytest

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import PausingClock
from holdfast.client import Client, NotFound, Patience, ServerFault, TimedOut
from holdfast.client.models.models import Addon, Backup

BACKUP = "/v1/projects/p/addons/a/backups/b"
RESTORES = "/v1/projects/p/addons/a/restores"


def say(api: ScriptedApi, status: str, **more: object) -> None:
    api.data("GET", BACKUP, {"id": "b", "status": status, **more})


@pytest.mark.parametrize("end", ["completed", "failed", "aborted", "not-supported"])
def test_a_wait_ends_with_the_backup_and_shows_every_state(
    scripted: ScriptedApi, api_client: Client, end: str
) -> None:
    say(scripted, "scheduled")
    say(scripted, "in-progress", progress={"bytes": 10, "expected": 20, "step": "copy"})
    say(scripted, end)
    seen: list[Backup] = []
    assert api_client.wait_for_backup("p", "a", "b", on_progress=seen.append).status == end
    assert [b.status for b in seen] == ["scheduled", "in-progress", end]
    assert seen[1].progress is not None
    assert (seen[1].progress.bytes, seen[1].progress.expected) == (10, 20)


def test_a_server_that_is_away_for_a_moment_does_not_end_the_wait(
    scripted: ScriptedApi, api_client: Client
) -> None:
    say(scripted, "in-progress")
    scripted.error("GET", BACKUP, 503, "restarting")
    scripted.error("GET", BACKUP, 429, "slow down")
    for _ in range(4):
        scripted.drop("GET", BACKUP)
    say(scripted, "completed")
    assert api_client.wait_for_backup("p", "a", "b").status == "completed"


def test_a_server_that_stays_away_does(
    scripted: ScriptedApi, api_client: Client, pausing_clock: PausingClock
) -> None:
    scripted.error("GET", BACKUP, 500, "broken")
    with pytest.raises(ServerFault, match="broken"):
        api_client.wait_for_backup("p", "a", "b")
    assert 60 < pausing_clock.passed < 70


def test_what_vanished_is_not_waited_for(scripted: ScriptedApi, api_client: Client) -> None:
    scripted.error("GET", BACKUP, 404, "gone")
    with pytest.raises(NotFound):
        api_client.wait_for_backup("p", "a", "b")


def test_a_timeout_is_kept_to_the_second(
    scripted: ScriptedApi, api_client: Client, pausing_clock: PausingClock
) -> None:
    say(scripted, "in-progress")
    with pytest.raises(TimedOut, match="5 seconds"):
        api_client.wait_for_backup("p", "a", "b", Patience(timeout=5))
    assert pausing_clock.passed == pytest.approx(5)


def test_a_restore_is_found_on_a_later_page(scripted: ScriptedApi, api_client: Client) -> None:
    one = {"id": "1", "status": "failed"}
    two = {"id": "2", "status": "completed", "backupId": "b"}
    scripted.data("GET", RESTORES, {"restores": [one]}, pagination={"cursor": "c" * 24})
    scripted.data("GET", RESTORES, {"restores": [two]}, pagination={"count": 1})
    assert api_client.wait_for_restore("p", "a", "2").status == "completed"


def test_an_addon_that_breaks_ends_the_wait(scripted: ScriptedApi, api_client: Client) -> None:
    for status in ("allocating", "failed"):
        scripted.data("GET", "/v1/projects/p/addons/a", {"id": "a", "status": status})
    seen: list[Addon] = []
    assert api_client.wait_for_addon("p", "a", on_progress=seen.append).status == "failed"
    assert len(seen) == 2
