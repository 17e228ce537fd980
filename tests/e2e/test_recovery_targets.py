"""Finding the change to go back before, and going there."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.archived_postgres import INTERVAL, Archiving, archived_postgres
from fixtures.dashboard import Visitor, open_session
from fixtures.holdfast import await_restore, await_that
from fixtures.installation import installation_home, running
from fixtures.official import OfficialCli


@pytest.fixture(scope="module")
def managing() -> Iterator[Archiving]:
    with archived_postgres() as installation:
        yield installation


def changes(managing: Archiving, around: str, **query: Any) -> list[dict[str, Any]]:
    managing.await_window()
    answer = managing.api.get(f"{managing.addon}/archive/changes", around=around, **query)
    return list(answer.data["changes"])


def touched(change: dict[str, Any]) -> dict[str, tuple[int, int, int, bool]]:
    return {
        table["table"]: (table["inserted"], table["updated"], table["deleted"], table["removed"])
        for table in change["tables"]
    }


def test_finds_a_change_and_goes_back_to_right_before_it(managing: Archiving) -> None:
    managing.sql("CREATE TABLE bills (n int PRIMARY KEY, note text)")
    managing.sql("INSERT INTO bills SELECT g, 'x' FROM generate_series(1, 90) g")
    moment = managing.instant()

    def is_named() -> bool:
        return any("public.bills" in touched(change) for change in changes(managing, moment))

    await_that(is_named, 60, managing.why)
    before = managing.instant()
    managing.sql("UPDATE bills SET note = 'y' WHERE n <= 10")
    managing.sql("DELETE FROM bills WHERE n > 50")
    managing.sql("DROP TABLE bills")
    listed = changes(managing, before, table="bills")
    rows = [touched(change)["public.bills"] for change in listed if change["timestamp"] > before]
    assert rows == [(0, 10, 0, False), (0, 0, 40, False), (0, 0, 0, True)]
    assert [c["timestamp"] for c in listed] == sorted(c["timestamp"] for c in listed)
    dropped = listed[-1]
    restore = managing.recover(targetPosition=dropped["position"], inclusive=False)
    assert managing.sql("SELECT count(*) FROM bills") == [(50,)]
    assert restore["report"]["firstLeftOut"]["transaction"] == dropped["transaction"]

    # What was left out stays on its own line, and can be gone to by its name.
    managing.sql("INSERT INTO bills VALUES (1000)")
    managing.await_window()
    again = changes(managing, before, table="bills")[-1]
    assert again["position"] == dropped["position"]
    assert again["line"].endswith("/00000001")
    managing.recover(targetPosition=again["position"], line=again["line"])
    assert managing.sql("SELECT to_regclass('bills')") == [(None,)]


def test_a_search_that_makes_no_sense_is_told_what_to_write(managing: Archiving) -> None:
    def problem(status: int, **query: Any) -> str:
        answer = managing.api.get(f"{managing.addon}/archive/changes", **query)
        assert answer.status == status
        return str(answer.error["message"])

    must = "around must be a time with an offset, such as 2026-11-30T01:09:00Z"
    assert problem(400, around="14:03") == must
    assert problem(400, around="2026-11-30T14:03:00") == must
    assert "which begins at 2" in problem(409, around="2020-01-01T00:00:00Z")
    now = managing.instant()
    assert problem(400, around=now, cursor="x") == "cursor is not one that a page of this list gave"


def test_goes_back_to_a_named_point(managing: Archiving) -> None:
    managing.sql("CREATE TABLE releases (n int)")
    marks = f"{managing.addon}/archive/marks"
    nearest = managing.backup(backupType="snapshot")
    release = {"name": "before release 41"}
    marked = managing.api.post(marks, release, headers={"idempotency-key": "release"})
    managing.sql("INSERT INTO releases VALUES (41)")
    again = managing.api.post(marks, release, headers={"idempotency-key": "release"})
    assert again.data == marked.data
    other = managing.api.post(marks, release, headers={"idempotency-key": "another"})
    assert (other.status, other.error["message"]) == (
        409,
        f"'before release 41' is the name of {marked.data['timestamp']} already;"
        " a name is given once",
    )
    for _ in range(2):  # as by a script of a migration
        managing.api.post(marks, {"name": "twice"})
        managing.catalogue("DELETE FROM archive_points WHERE name = 'twice'")
    managing.await_window()
    with pytest.raises(AssertionError, match="2 points are called 'twice': restore to the pos"):
        managing.recover(targetName="twice")
    assert managing.sql("SELECT n FROM releases") == [(41,)]
    managing.catalogue("DELETE FROM archive_points")
    restore = managing.recover(targetName="before release 41")
    assert managing.sql("SELECT n FROM releases") == []
    assert nearest.endswith(f"/{restore['report']['snapshot']}")
    wrong = managing.api.post(marks, {"name": "a\nb"})
    assert "name must be 1 to 63 bytes of printable text" in wrong.error["message"]


def test_another_addon_becomes_what_this_one_was(managing: Archiving) -> None:
    project = managing.addon.partition("/addons/")[0]
    copy = managing.manage(project.rpartition("/")[2], "Copy").rpartition("/")[2]
    managing.sql("CREATE TABLE forked AS SELECT 1 n")
    moment = managing.instant()
    managing.sql("DELETE FROM forked")
    managing.await_window()
    restore = managing.recover(into=copy, targetTimestamp=moment)
    assert restore["status"] == "completed"
    own = managing.addon
    assert managing.sql("SELECT n FROM forked") == []
    managing.addon = f"{project}/addons/{copy}"
    try:
        assert managing.sql("SELECT n FROM forked") == [(1,)]
        # Both have archives of their own from here on.
        managing.api.post(f"{managing.addon}/archive", INTERVAL)
        await_that(managing.window, 60, managing.why)
    finally:
        managing.addon = own
    query = "?sourceAddonId=none"
    answer = managing.api.post(f"{managing.addon}/pitr{query}", {"targetTimestamp": moment})
    assert answer.status == 404


@pytest.mark.slow
def test_the_official_command_line_restores_to_a_moment(
    managing: Archiving, fresh_cli: OfficialCli
) -> None:
    """The answers are those of the v1 API: a window with both its edges, a backup object."""
    managing.sql("CREATE TABLE official AS SELECT 1 n")
    moment = managing.instant()
    managing.sql("DELETE FROM official")
    managing.await_window()
    _, _, project, _, addon = managing.addon.split("/")
    at = ("--projectId", project, "--addonId", addon)
    server = managing.server
    assert fresh_cli("login", "-n", "o", "-t", server.token, "--host", server.url).status == 0
    window = fresh_cli("get", "addon", "pitr-window", *at, "-o", "json").json
    assert set(window) == {"hasValidWindow", "startTimestamp", "endTimestamp"}
    assert window["startTimestamp"] < moment < window["endTimestamp"]
    order = json.dumps({"targetTimestamp": moment})
    started = fresh_cli("start", "addon", "pitr", *at, "-i", order, "-o", "json")
    assert started.status == 0, started
    backup = f"{managing.addon}/backups/{started.json['id']}"
    shown = managing.api.get(backup).data
    changing = {"lastRestore", "restoreId", "protection", "explanation"}
    assert {k: v for k, v in started.json.items() if k not in changing} == {
        k: v for k, v in shown.items() if k not in changing
    }
    await_restore(managing.api, backup, started.json["restoreId"])
    assert managing.sql("SELECT n FROM official") == [(1,)]


def test_the_dashboard_leads_from_a_change_to_before_it(managing: Archiving) -> None:
    owner = Visitor(managing.server.url, open_session(managing.server, managing.api))
    _, _, project, _, addon = managing.addon.split("/")
    page = f"/p/{project}/{addon}"
    managing.sql("CREATE TABLE shown AS SELECT g n FROM generate_series(1, 5) g")
    managing.await_window()
    moment = managing.instant()
    managing.sql("DROP TABLE shown")
    managing.await_window()
    own = owner.get(page)
    assert "any moment of it can be restored" in own.text
    assert f"{page}/moments/restore" in own.read.links
    state = owner.get(f"{page}/moments")
    assert "snapshot that the log is replayed onto" in state.text
    refused = owner.send(state, f"{page}/moments", intervalSeconds="0")
    assert (refused.status, 'aria-describedby="f-intervalSeconds-p' in refused.html) == (400, True)
    found = owner.get(f"{page}/moments/find?around={moment}&seconds=30&table=&cursor=")
    back = [link for link in found.read.links if "moments/restore" in link][-1]
    form = owner.get(back)
    wrong = owner.send(form, f"{page}/moments/restore", typed="other")
    assert "nothing was changed" in wrong.text
    fields = {"typed": addon, "kind": "targetTimestamp", "value": "14:03"}
    zoneless = owner.send(wrong, f"{page}/moments/restore", **fields)
    assert zoneless.status == 400
    assert "It must be a time with an offset" in zoneless.text
    started = owner.send(form, f"{page}/moments/restore", typed=addon)
    assert started.status == 303
    restore = started.response.headers["location"]
    await_that(lambda: "has the data of" in owner.get(restore).text, 60, managing.why)
    assert managing.sql("SELECT count(*) FROM shown") == [(5,)]
    bad = owner.get(f"{page}/moments/find?around=noon&seconds=60&table=")
    assert "Around must be a time with an offset" in bad.text
    owner.follow(owner.send(owner.get(f"{page}/moments"), f"{page}/moments/off"))
    assert "not archived" in owner.get(f"{page}/moments").text


@pytest.mark.slow
def test_a_lost_catalogue_is_no_lost_log(managing: Archiving) -> None:
    """The store alone, and the passphrase of its recovery kit, on a new host."""
    passphrase = managing.api.post("/platform-store/recovery-kit").data["passphrase"]
    managing.api.post(f"{managing.addon}/archive", INTERVAL)
    managing.sql("CREATE TABLE survivors AS SELECT 1 n")
    managing.await_window()
    moment = managing.instant()
    managing.sql("DELETE FROM survivors")
    managing.await_window()
    managing.sql("CREATE TABLE later AS SELECT 1 n")
    for _ in range(10):  # pieces without a commit, as of an idle server
        managing.await_window()
        managing.sql("SELECT pg_logical_emit_message(false, 'idle', 'x')")
    managing.await_window()
    _, _, project, _, addon = managing.addon.split("/")
    with installation_home() as home:
        (home / "data").mkdir()
        shutil.copytree(managing.data_dir / "store", home / "data" / "store", dirs_exist_ok=True)
        with running(Archiving(home)) as fresh_host:
            owner = Visitor(fresh_host.server.url, open_session(fresh_host.server, fresh_host.api))
            adopt = "/stores/platform/adopt"
            adopted = owner.send(owner.get(adopt), adopt, passphrase=passphrase).text
            assert "left alone" not in adopted
            assert f"{project}/{addon} from " in adopted  # with the window
            copy = fresh_host.manage(project, "Copy of it")
            fresh_host.addon = f"/projects/{project}/addons/{addon}"
            listed = fresh_host.api.get(
                f"{copy}/archive/changes", around=moment, sourceAddonId=addon
            ).data["changes"]
            deleted = [table["deleted"] for change in listed for table in change["tables"]]
            assert 1 in deleted
            fresh_host.recover(into=copy.rpartition("/")[2], targetTimestamp=moment)
            fresh_host.addon = copy
            assert fresh_host.sql("SELECT n FROM survivors") == [(1,)]
