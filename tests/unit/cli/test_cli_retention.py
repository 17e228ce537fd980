"""`holdfast retention`: what people read, what programs get, what is sent."""

import pytest

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import Holdfast

GOES = {
    "backupId": "old",
    "status": "completed",
    "size": "1536",
    "createdAt": "2026-01-20T11:19:53.175Z",
    "fate": "expired",
    "reasons": ["its retention time is over"],
    "deletesAt": "2026-02-20T11:19:53.175Z",
}
STUCK = {
    **GOES,
    "backupId": "stuck",
    "destinationId": "off-site",
    "fate": "stuck",
    "deletion": {"reason": "r", "dueAt": "x", "tries": 3, "lastError": "refused"},
}
STAYS = {
    "backupId": "new",
    "status": "completed",
    "size": "2048",
    "createdAt": "2026-01-21T11:19:53.175Z",
    "fate": "kept",
    "reasons": ["its retention time is not over yet", "it is the newest good backup of the addon"],
    "earliestAt": "2026-03-20T11:19:53.175Z",
}
PLAN = {
    "project": {"id": "shop", "name": "Shop"},
    "addon": {"id": "orders", "name": "Orders", "deleted": True},
    "copies": [STAYS, STUCK, GOES],
}
HELD = {"held": True, "placedBy": "anna", "reason": "an audit", "begun": 2}


def test_the_plan_is_a_line_for_each_copy(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("GET", "/v1/retention/plan", {"addons": [PLAN]})
    scripted.data("GET", "/v1/retention/hold", HELD)
    ran = holdfast("retention", "plan", "--project", "shop", "--addon", "orders")
    held, titles, stays, stuck, goes = ran.out.splitlines()
    assert held == "Retention is held by anna: an audit. 2 removals that had begun go to their end."
    assert titles.split() == ["ADDON", "BACKUP", "AT", "SIZE", "FATE", "DELETED", "WHY"]
    assert stays.startswith("shop/orders (deleted)")
    assert "not before 2026-03-20 11:19" in stays
    assert "not over yet; it is the newest good backup" in stays
    assert "tried 3 times: refused" in stuck
    assert "2026-02-20 11:19 (" in goes
    assert "(server)" in goes
    query = scripted.asked[0].query
    assert (query["projectId"], query["addonId"]) == ("shop", "orders")


def test_programs_get_the_servers_plan(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    quiet = {**PLAN, "copies": [STAYS]}
    scripted.data("GET", "/v1/retention/plan", {"addons": [PLAN, quiet]})
    assert holdfast("retention", "plan", "-o", "json").json == [PLAN, quiet]
    going = holdfast("retention", "plan", "--going", "-o", "json").json
    assert going == [{**PLAN, "copies": [STUCK, GOES]}]
    scripted.data("GET", "/v1/retention/hold", {"held": False, "begun": 0})
    assert len(holdfast("retention", "plan", "--going").out.splitlines()) == 3


def test_deletions_tell_their_story(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    done = {
        "id": "1",
        "backupId": "old",
        "state": "done",
        "reason": "it expired",
        "dueAt": "2026-01-20T11:19:53.175Z",
        "doneAt": "2026-01-20T11:20:53.175Z",
    }
    saved = {**done, "id": "2", "state": "called-off", "calledOff": "retained by ops"}
    stuck = {**done, "id": "3", "state": "stuck", "tries": 2, "lastError": "no answer"}
    rows = [saved, stuck, done]
    scripted.data("GET", "/v1/retention/deletions", {"deletions": rows})
    out = holdfast("retention", "deletions").out
    assert "it expired; called off: retained by ops" in out
    assert "it expired; tried 2 times: no answer" in out
    assert "open" not in scripted.asked[0].query
    assert holdfast("retention", "deletions", "--open", "-o", "json").json == rows
    assert scripted.asked[1].query["open"] == "true"


def test_findings_are_asked_for_by_kind(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    lost = {
        "id": "1",
        "kind": "lost",
        "prefix": "dumps/x/",
        "objects": 0,
        "bytes": "0",
        "reason": "no manifest",
        "seenAt": "2026-01-20T11:19:53.175Z",
        "outcome": "found again",
    }
    scripted.data("GET", "/v1/retention/findings", {"findings": [lost]})
    assert "no manifest; settled: found again" in holdfast("retention", "findings").out
    assert holdfast("retention", "findings", "--kind", "lost", "-o", "json").json == [lost]
    assert scripted.asked[1].query["kind"] == "lost"
    assert holdfast("retention", "findings", "--kind", "odd").status == 2


def test_an_audit_is_ordered_or_only_shown(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    path = "/v1/retention/audits"
    both = [{"dueAt": "2026-01-01T00:00:00.000Z"}, {"destinationId": "off-site", "dueAt": "x"}]
    scripted.data("GET", path, {"audits": both})
    scripted.data("POST", path, {"audits": both})
    assert "(server)" in holdfast("retention", "audit").out
    holdfast("retention", "audit", "--destination", "off-site")
    holdfast("retention", "audit", "--read-data")
    assert [asked.json for asked in scripted.of("POST", path)] == [
        {},
        {"destinationId": "off-site"},
        {"readData": True},
    ]
    assert holdfast("retention", "audit", "--show", "-o", "json").json == both
    assert len(scripted.of("POST", path)) == 3
    assert holdfast("retention", "audit", "--show", "-d", "off-site").status == 2
    assert holdfast("retention", "audit", "--show", "--read-data").status == 2


@pytest.mark.parametrize(("options", "body"), [((), {}), (("--share", "1"), {"share": 1.0})])
def test_a_prune_says_what_it_did(
    holdfast: Holdfast, scripted: ScriptedApi, options: tuple[str, ...], body: dict[str, float]
) -> None:
    path = "/v1/projects/p/addons/a/prune"
    done = {"marked": 2, "calledOff": 1, "expired": 5}
    scripted.data("POST", path, done)
    ran = holdfast("retention", "prune", *options)
    assert ran.out == ("2 marked for deletion, 1 called off; 5 expired ones wait for later runs\n")
    assert holdfast("retention", "prune", *options, "-o", "json").json == done
    assert scripted.asked[0].json == body


@pytest.mark.parametrize("share", ["0", "1.5", "all"])
def test_a_share_is_a_share(holdfast: Holdfast, scripted: ScriptedApi, share: str) -> None:
    ran = holdfast("retention", "prune", "--share", share)
    assert (ran.status, "--share" in ran.err, scripted.asked) == (2, True, [])


def test_a_destinations_copies_expire(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    stored = {"id": "old", "uid": "u-1", "status": "completed", "expiredBy": 1729232400000}
    for_ever = {"id": "kept", "uid": "u-2", "status": "completed"}
    text = {**stored, "expiredBy": "1729232400000.0"}
    scripted.data("GET", "/v1/backup-destinations/off/backups", [stored, for_ever, text])
    _, *lines = holdfast("destination", "backups", "off").out.splitlines()
    assert [line.split()[-1] for line in lines] == [
        "2024-10-18T06:20:00Z",
        "never",
        "2024-10-18T06:20:00Z",
    ]
    scripted.data("DELETE", "/v1/stored-backups/u-1", {})
    assert holdfast("destination", "delete-backup", "u-1", "--yes").status == 0
    assert holdfast("destination", "delete-backup", "u-1", "--force").status == 0
    asked = scripted.of("DELETE", "/v1/stored-backups/u-1")
    assert [each.query for each in asked] == [{}, {"force": "true"}]
