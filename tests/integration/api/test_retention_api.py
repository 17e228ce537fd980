"""What retention plans, did and found, over HTTP; and having it done now."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fixtures.holdfast import Api, fresh
from fixtures.in_process_installation import InProcessInstallation
from fixtures.listening import listening
from holdfast.bootstrap import Parts, make_owner
from holdfast.catalog import addons, projects
from holdfast.catalog.storage.findings import Sighting, report
from holdfast.settings import Settings

pytestmark = pytest.mark.sqlite_first

READ = "Project > Addons > General > Read"
STORES = "Account > BackupDestinations > General > Read"


@dataclass
class Kept:
    """The API of an installation whose backups are rows, and whose time is ours."""

    api: Api
    installation: InProcessInstallation
    new_addon: Callable[[], int]
    paths: dict[int, tuple[str, str]] = field(default_factory=dict)

    def addon(self, backups: int = 0, **more: Any) -> int:
        """With so many backups, an hour apart."""
        pk = self.new_addon()
        with self.installation.catalog.read() as session:
            addon = addons.get(session, pk)
            self.paths[pk] = (projects.get(session, addon.project_pk).id, addon.id)
        for _ in range(backups):
            self.installation.backup(pk, **more)
            self.installation.clock.at += 3_600_000
        return pk

    def path(self, pk: int) -> str:
        project, addon = self.paths[pk]
        return f"/projects/{project}/addons/{addon}"

    def ids(self, pk: int) -> list[str]:
        return [self.installation.row(each).id for each in self.installation.present(pk)]

    def fates(self, pk: int) -> list[str]:
        """The oldest first."""
        copies = self.api.get(f"{self.path(pk)}/retention-plan").data["copies"]
        return [copy["fate"] for copy in copies][::-1]


@pytest.fixture
def kept(
    installation: InProcessInstallation,
    catalog_url: str,
    tmp_path: Path,
    new_addon: Callable[[], int],
) -> Iterator[Kept]:
    settings = Settings(data_dir=tmp_path / "home", database_url=catalog_url, queue="table")
    parts = Parts(settings, clock=installation.clock)
    make_owner(parts)
    token = (settings.data_dir / "owner.token").read_text().strip()
    with listening(parts) as url:
        yield Kept(Api(url, token), installation, new_addon)
    parts.catalog.close()


def restricted(kept: Kept, *permissions: str, projects: list[str] | None = None) -> Api:
    body = {"name": fresh("Role"), "permissions": list(permissions)}
    role = kept.api.post("/roles", body).data["id"]
    body = {"name": "t", "role": role, **({"projects": projects} if projects else {})}
    return Api(kept.api.url, kept.api.post("/tokens", body).data["token"])


def test_the_plan_says_what_goes_when_and_why_and_changes_nothing(kept: Kept) -> None:
    pk = kept.addon(4)
    path = f"{kept.path(pk)}/retention-plan"
    plan = kept.api.get(path).data
    assert (plan["project"]["id"], plan["addon"]["id"]) == kept.paths[pk]
    newest, *older = plan["copies"]
    assert [copy["backupId"] for copy in plan["copies"]] == kept.ids(pk)[::-1]
    assert {copy["fate"] for copy in plan["copies"]} == {"kept"}
    assert all("deletesAt" in copy for copy in older), "they will go when their time is over"
    assert "deletesAt" not in newest
    assert "it is the newest good backup of the addon" in newest["reasons"]

    kept.installation.clock.at += 3 * 86_400_000
    assert kept.fates(pk) == ["expired", "expired", "expired", "kept"]
    expired = kept.api.get(path).data["copies"][-1]
    assert expired["reasons"] == ["its retention time is over"]
    assert expired["deletesAt"] > expired["expiresAt"]
    assert kept.fates(pk) == ["expired", "expired", "expired", "kept"], "looking changed it"
    assert not any(kept.installation.deletions(each) for each in kept.installation.present(pk))


def test_a_prune_on_demand_takes_a_share_unless_told_otherwise(kept: Kept) -> None:
    pk = kept.addon(8)
    prune = f"{kept.path(pk)}/prune"
    assert kept.api.post(prune).data == {"marked": 0, "calledOff": 0, "expired": 0}
    kept.installation.clock.at += 3 * 86_400_000
    assert kept.api.post(prune).data == {"marked": 2, "calledOff": 0, "expired": 5}
    assert kept.fates(pk) == ["marked"] * 2 + ["expired"] * 5 + ["kept"]
    assert kept.api.post(prune, {"share": 1}).data == {"marked": 5, "calledOff": 0, "expired": 0}
    assert kept.fates(pk) == ["marked"] * 7 + ["kept"], "no share takes the last good one"
    for wrong in (0, -1, 1.5, "1", True):
        answer = kept.api.post(prune, {"share": wrong})
        assert (answer.status, list(answer.details)) == (400, ["share"])
    assert kept.api.post(prune, {"shares": 1}).details.keys() == {"shares"}
    reader = restricted(kept, READ)
    assert reader.post(prune).status == 403
    assert reader.get(f"{kept.path(pk)}/retention-plan").status == 200


def test_retention_is_held_and_released(kept: Kept) -> None:
    hold, why = "/retention/hold", "the bucket is being looked into"
    assert kept.api.get(hold).data == {"held": False, "begun": 0}
    placed = kept.api.put(hold, {"reason": why}).data
    assert (placed["held"], placed["reason"], placed["placedBy"]) == (True, why, "owner")
    pk = kept.addon(4)
    kept.installation.clock.at += 3 * 86_400_000
    assert kept.api.post(f"{kept.path(pk)}/prune").data["marked"] == 0
    (entry,) = kept.api.get("/audit-log", kind="retention-hold").data["entries"]
    assert (entry["action"], entry["after"]["reason"]) == ("hold_retention", why)
    assert kept.api.delete(hold).data["held"] is False
    assert "resumesAt" in kept.api.get(hold).data
    assert kept.api.put(hold, {"reason": ""}).details.keys() == {"reason"}


def test_a_hold_is_for_those_who_see_all_projects(kept: Kept) -> None:
    pk = kept.addon()
    hold, update = "/retention/hold", "Project > Addons > General > Update"
    some = restricted(kept, READ, update, projects=[kept.paths[pk][0]])
    assert some.put(hold, {"reason": "mine"}).status == 403
    updater = restricted(kept, READ, update)
    assert updater.put(hold, {"reason": "ours"}).status == 200
    assert updater.delete(hold).status == 403, "lifting it is for those who may delete"


def test_what_is_marked_shows_at_its_backup_and_can_be_saved(kept: Kept) -> None:
    pk = kept.addon(2)
    oldest = kept.ids(pk)[0]
    kept.installation.clock.at += 3 * 86_400_000
    kept.api.post(f"{kept.path(pk)}/prune", {"share": 1})
    one = f"{kept.path(pk)}/backups/{oldest}"
    (copy,) = kept.api.get(one).data["copies"]
    assert oldest in copy["deletion"]["reason"]
    (deletion,) = kept.api.get("/retention/deletions", open="true").data["deletions"]
    assert deletion["backupId"] == oldest
    assert (deletion["state"], deletion["dueAt"]) == ("marked", copy["deletion"]["at"])
    kept.api.post(f"{one}/retain")
    (copy,) = kept.api.get(one).data["copies"]
    assert "deletion" not in copy
    assert kept.api.get("/retention/deletions", open="true").data == {"deletions": []}
    (past,) = kept.api.get("/retention/deletions").data["deletions"]
    assert past["state"] == "called-off"
    assert "retained" in past["calledOff"]


def test_what_was_deleted_says_where_it_was_and_why(kept: Kept) -> None:
    place = kept.installation.destination("off-site")
    pk = kept.addon(2, places=(place,))
    gone = kept.ids(pk)[0]
    kept.installation.round(days=3)
    kept.installation.round(days=2)
    (done,) = kept.api.get("/retention/deletions").data["deletions"]
    assert (done["state"], done["destinationId"], done["backupId"]) == ("done", "off-site", gone)
    assert "until" in done["reason"]
    assert done["createdAt"] < done["dueAt"] <= done["doneAt"]
    assert kept.fates(pk) == ["kept"]


def test_the_plan_of_all_is_paged_by_addon_and_can_be_narrowed(kept: Kept) -> None:
    pks = [kept.addon(1) for _ in range(3)]
    first = kept.api.get("/retention/plan", per_page=2)
    second = kept.api.get("/retention/plan", per_page=2, cursor=first.pagination["cursor"])
    assert "cursor" not in second.pagination
    found = [each["addon"]["id"] for page in (first, second) for each in page.data["addons"]]
    assert found == [kept.paths[pk][1] for pk in reversed(pks)]
    project, addon = kept.paths[pks[1]]
    for query in ({"projectId": project}, {"addonId": addon}, {"projectId": project, "page": 1}):
        (only,) = kept.api.get("/retention/plan", **query).data["addons"]
        assert (only["project"]["id"], only["addon"]["id"]) == (project, addon)
    assert kept.api.get("/retention/plan", projectId="none").data == {"addons": []}
    totals = kept.api.get("/retention/plan/totals").data
    assert totals["addons"] == 3
    assert totals["fates"]["kept"]["copies"] == 3
    assert totals["fates"]["expired"] == {"copies": 0, "bytes": "0"}

    gone = kept.path(pks[1])
    kept.api.delete(gone)
    assert kept.api.get(f"{gone}/retention-plan").status == 404
    (only,) = kept.api.get("/retention/plan", projectId=project).data["addons"]
    assert only["addon"]["deleted"] is True
    assert only["copies"][0]["fate"] == "kept"


def test_findings_can_be_asked_for_by_kind(kept: Kept) -> None:
    pk = kept.addon(1)
    (copy,) = kept.installation.copies(kept.installation.present(pk)[0])
    with kept.installation.catalog.write() as session:
        lost = Sighting(None, "lost", "dumps/x/", "an object is missing", copy_pk=copy.pk)
        report(session, lost, kept.installation.clock.at)
        foreign = Sighting(None, "foreign", "else/", "nobody knows it", objects=2, bytes=9)
        report(session, foreign, kept.installation.clock.at)
    found = kept.api.get("/retention/findings").data["findings"]
    assert [each["kind"] for each in found] == ["foreign", "lost"]
    assert (found[0]["objects"], found[0]["bytes"]) == (2, "9")
    (only,) = kept.api.get("/retention/findings", kind="lost").data["findings"]
    assert only["backupId"] == kept.ids(pk)[0]
    assert kept.api.get("/retention/findings", kind="odd").details.keys() == {"kind"}
    mine = restricted(kept, STORES, projects=[kept.paths[pk][0]])
    assert [each["kind"] for each in mine.get("/retention/findings").data["findings"]] == ["lost"]
    assert restricted(kept, READ).get("/retention/findings").status == 403
    team = kept.api.based("/v1/teams/mine")
    for path in ("plan", "plan/totals", "deletions", "findings", "audits"):
        assert team.get(f"/retention/{path}").status == 200


def test_audits_are_asked_for_all_stores_or_one(kept: Kept) -> None:
    kept.installation.destination("off-site")
    assert kept.api.get("/retention/audits").data == {"audits": []}
    (one,) = kept.api.post("/retention/audits", {"destinationId": "off-site"}).data["audits"]
    assert one["destinationId"] == "off-site"
    asked = kept.api.post("/retention/audits").data["audits"]
    assert sorted(each.get("destinationId", "") for each in asked) == ["", "off-site"]
    assert kept.api.get("/retention/audits").data["audits"] == asked
    assert kept.api.post("/retention/audits", {"destinationId": "none"}).status == 404
    assert kept.api.post("/retention/audits", {"destination": "x"}).status == 400
    assert restricted(kept, STORES).post("/retention/audits").status == 403


def test_what_a_token_may_not_see_does_not_exist(kept: Kept) -> None:
    mine, other = kept.addon(2), kept.addon(2)
    kept.installation.clock.at += 3 * 86_400_000
    for pk in (mine, other):
        kept.api.post(f"{kept.path(pk)}/prune", {"share": 1})
    project = kept.paths[mine][0]
    caller = restricted(kept, READ, "Project > Addons > General > Update", projects=[project])
    (plan,) = caller.get("/retention/plan").data["addons"]
    assert plan["project"]["id"] == project
    assert caller.get("/retention/plan", projectId=kept.paths[other][0]).data == {"addons": []}
    (deletion,) = caller.get("/retention/deletions").data["deletions"]
    assert deletion["projectId"] == project
    assert caller.get(f"{kept.path(other)}/retention-plan").status == 404
    assert caller.post(f"{kept.path(other)}/prune").status == 404
    assert caller.get("/retention/plan/totals").status == 403
