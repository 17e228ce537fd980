"""The other nouns: what they send, and that secrets neither travel in arguments nor show."""

import io
import json
from pathlib import Path

import pytest

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import Holdfast

A = "/v1/projects/p/addons/a"
RESTORES = f"{A}/restores"
DESTINATIONS = "/v1/backup-destinations"
SECRET = "sssh-very-secret"


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return str(path)


def addon(status: str, **more: object) -> dict[str, object]:
    return {"id": "a", "name": "A", "spec": {"type": "postgresql"}, "status": status, **more}


def test_project_round(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    project = {"id": "shop", "name": "Shop", "addons": [{"id": "a", "spec": {"type": "redis"}}]}
    scripted.data("POST", "/v1/projects", project)
    scripted.data("GET", "/v1/projects/shop", project)
    scripted.data("PATCH", "/v1/projects/shop", project)
    scripted.data("DELETE", "/v1/projects/shop", {})
    assert holdfast("project", "create", "Shop", "--description", "d").status == 0
    assert "addons.0.spec.type  redis" in holdfast("project", "get", "shop").out
    assert holdfast("project", "update", "shop", "--color", "#fff").status == 0
    assert holdfast("project", "delete", "shop", "--with-contents", "--force").status == 0
    created, _, patched, deleted = scripted.asked
    assert created.json == {"name": "Shop", "description": "d"}
    assert patched.json == {"color": "#fff"}
    assert deleted.query == {"delete_child_objects": "true"}


def test_a_managed_addon_has_billing(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("POST", "/v1/projects/p/addons", addon("preDeployment"))
    scripted.data("GET", A, addon("allocating"))
    scripted.data("GET", A, addon("running"))
    ran = holdfast("addon", "create", "A", "--type", "postgresql", "--wait", "-o", "json")
    assert (ran.status, ran.json["status"]) == (0, "running")
    sent = scripted.asked[0].json
    assert (sent["name"], sent["type"], sent["version"]) == ("A", "postgresql", "latest")
    assert set(sent["billing"]) == {"deploymentPlan", "storage", "replicas"}


def test_an_addon_that_does_not_start_is_11(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("POST", f"{A}/resume", {})
    scripted.data("GET", A, addon("failed", reason="the port is taken"))
    ran = holdfast("addon", "resume", "--wait")
    assert ran.status == 11
    assert "the addon a is failed: the port is taken" in ran.err


@pytest.mark.parametrize("source", ["file", "stdin", "body"])
def test_attaching_takes_the_connection_string_out_of_sight(
    holdfast: Holdfast,
    scripted: ScriptedApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    url = f"postgresql://u:{SECRET}@h/db"
    (tmp_path / "url").write_text(url + "\n")
    (tmp_path / "body.json").write_text(json.dumps({"connectionString": url}))
    monkeypatch.setattr("sys.stdin", io.StringIO(url))
    given = {
        "file": ("--connection-string-file", str(tmp_path / "url")),
        "stdin": ("--connection-string-file", "-"),
        "body": ("-f", str(tmp_path / "body.json")),
    }
    scripted.data("POST", "/v1/projects/p/addons", addon("running", managed=False))
    ran = holdfast("addon", "attach", "A", "--type", "postgresql", *given[source])
    assert ran.status == 0
    assert SECRET not in ran.out + ran.err
    expected = {"name": "A", "type": "postgresql", "connectionString": url}
    assert scripted.asked[0].json == expected


def test_attaching_without_a_string_or_a_terminal_is_a_usage_error(
    holdfast: Holdfast, scripted: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert holdfast("addon", "attach", "A", "--type", "postgresql").status == 2
    assert scripted.asked == []


def test_an_attached_addon_can_move(
    holdfast: Holdfast, scripted: ScriptedApi, secret_file: str
) -> None:
    scripted.data("PATCH", A, {})
    scripted.data("GET", A, addon("running"))
    line = ("addon", "update", "a", "--connection-string-file", secret_file)
    ran = holdfast(*line)
    assert ran.status == 0
    assert scripted.asked[0].json == {"connectionString": SECRET}
    assert SECRET not in ran.out + ran.err


def test_credentials_are_the_one_place_that_shows_them(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    found = {"secrets": {"PASSWORD": SECRET}, "envs": {"HOST": "127.0.0.1"}}
    scripted.data("GET", f"{A}/credentials", found)
    assert holdfast("addon", "credentials", "a", "-o", "json").json == found


@pytest.mark.parametrize(
    ("line", "path", "body"),
    [
        (["pause"], f"{A}/pause", ""),
        (["resume"], f"{A}/resume", ""),
        (["restart"], f"{A}/restart", ""),
        (["reset", "a", "--force"], f"{A}/reset", ""),
        (["version", "--upgrade-to", "17.2"], f"{A}/version", '{"version":"17.2"}'),
    ],
)
def test_addon_actions(
    holdfast: Holdfast, scripted: ScriptedApi, line: list[str], path: str, body: str
) -> None:
    scripted.data("POST", path, {})
    scripted.data("GET", A, addon("running"))
    scripted.data("GET", f"{A}/version", {"version": "17.2"})
    assert holdfast("addon", *line).status == 0
    (asked,) = scripted.of("POST", path)
    assert asked.body.replace(" ", "") == body


def test_resetting_asks_first(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    assert holdfast("addon", "reset", "a").status == 2
    assert scripted.asked == []


@pytest.mark.parametrize(("end", "status"), [("completed", 0), ("failed", 11)])
def test_a_restore_of_another_addons_backup(
    holdfast: Holdfast, scripted: ScriptedApi, end: str, status: int
) -> None:
    path = f"{A}/backups/nightly/restore"
    scripted.data("POST", path, {"restoreId": "r1"})
    done = {"id": "r1", "backupId": "nightly", "status": end, "reason": "row counts differ"}
    scripted.data("GET", RESTORES, {"restores": [{**done, "status": "in-progress"}]})
    scripted.data("GET", RESTORES, {"restores": [done]})
    ran = holdfast(
        "restore", "create", "--backup", "nightly", "--from-addon", "origin", "--wait"
    )  # fmt: skip
    assert ran.status == status
    assert ("row counts differ" in ran.err) is (status == 11)
    asked = scripted.of("POST", path)[0]
    assert asked.query == {"sourceProjectId": "p", "sourceAddonId": "origin"}
    assert asked.body == ""


def test_a_restore_may_give_up_what_is_there_only_after_a_yes(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    path = f"{A}/backups/nightly/restore"
    words = ("restore", "create", "--backup", "nightly", "--replace")
    assert holdfast(*words).status == 2
    assert scripted.asked == []
    scripted.data("POST", path, {"restoreId": "r1"})
    scripted.data("GET", RESTORES, {"restores": [{"id": "r1", "status": "scheduled"}]})
    assert holdfast(*words, "--yes").status == 0
    assert scripted.of("POST", path)[0].json == {"replace": True}


def test_aborting_a_restore_finds_its_backup(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    found = {"id": "r1", "backupId": "nightly", "status": "in-progress"}
    scripted.data("GET", RESTORES, {"restores": [found]})
    scripted.data("POST", f"{A}/backups/nightly/abort-restore", {})
    assert holdfast("restore", "abort", "r1").status == 0
    assert scripted.asked[1].json == {"restoreId": "r1"}
    assert holdfast("restore", "get", "unknown").status == 6


def test_creating_a_destination(
    holdfast: Holdfast, scripted: ScriptedApi, secret_file: str
) -> None:
    keys = {"accessKey": "AK", "bucketName": "b", "region": "r", "endpoint": "http://s3"}
    sent = {"name": "Off", "type": "s3", "prefix": "x/", "credentials": keys}
    answer = {**sent, "id": "off", "credentials": {**keys, "secretKey": SECRET}}
    scripted.data("POST", DESTINATIONS, answer)
    ran = holdfast(
        "destination", "create", "Off", "--prefix", "x/", "--bucket", "b", "--region", "r",
        "--endpoint", "http://s3", "--access-key", "AK", "--secret-key-file", secret_file,
    )  # fmt: skip
    assert ran.status == 0
    assert SECRET not in ran.out + ran.err
    assert scripted.asked[0].json == {**sent, "credentials": {**keys, "secretKey": SECRET}}


def test_a_destinations_keys_are_masked_unless_asked_for(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    keys = {"accessKey": "AK", "secretKey": SECRET, "bucketName": "bucket-7"}
    off = {"id": "off", "name": "Off", "credentials": keys}
    scripted.data("GET", f"{DESTINATIONS}/off", off)
    scripted.data("GET", DESTINATIONS, {"backupDestinations": [off]})
    for line in (["get", "off"], ["list"], ["list", "-o", "json"], ["get", "off", "-o", "json"]):
        ran = holdfast("destination", *line)
        assert "bucket-7" in ran.out
        assert SECRET not in ran.out + ran.err
    assert SECRET in holdfast("destination", "get", "off", "--show-secrets").out


def test_updating_a_destination_leaves_its_keys_alone(
    holdfast: Holdfast, scripted: ScriptedApi, secret_file: str
) -> None:
    scripted.data("PATCH", f"{DESTINATIONS}/off", {})
    assert holdfast("destination", "update", "off", "--name", "New").status == 0
    rotate = ("destination", "update", "off", "--access-key", "AK")
    assert holdfast(*rotate, "--secret-key-file", secret_file).status == 0
    renamed, rotated = scripted.asked
    assert renamed.json == {"name": "New"}
    assert rotated.json == {"credentials": {"accessKey": "AK", "secretKey": SECRET}}


def test_a_token_is_shown_once_and_never_listed(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    made = {"id": "t1", "name": "ci", "role": "default", "projects": ["shop"]}
    scripted.data("POST", "/v1/tokens", {**made, "token": SECRET})
    scripted.data("GET", "/v1/tokens", {"tokens": [{**made, "token": SECRET}]})
    ran = holdfast(
        "token", "create", "ci", "--role", "default", "--project", "shop",
        "--expires-in-days", "9", "-o", "json",
    )  # fmt: skip
    assert ran.json["token"] == SECRET
    assert scripted.asked[0].json == {
        "name": "ci",
        "role": "default",
        "projects": ["shop"],
        "expiresInDays": 9,
    }
    assert SECRET not in holdfast("token", "list").out
    assert SECRET not in holdfast("token", "list", "-o", "json").out


def test_roles(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    role = {"id": "r1", "name": "reader", "permissions": ["A > B", "C > D"], "builtIn": False}
    scripted.data("POST", "/v1/roles", role)
    scripted.data("GET", "/v1/roles", {"roles": [role]})
    scripted.data("DELETE", "/v1/roles/r1", {})
    line = ("role", "create", "reader", "--permission", "A > B", "--permission", "C > D")
    assert holdfast(*line).status == 0
    assert scripted.asked[0].json == {"name": "reader", "permissions": ["A > B", "C > D"]}
    assert "A > B, C > D" in holdfast("role", "list").out
    assert holdfast("role", "delete", "r1").status == 2
    for yes in ("--force", "--yes", "-y"):
        assert holdfast("role", "delete", "r1", yes).status == 0


def test_health_is_10_when_the_server_cannot_work(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    scripted.data("GET", "/healthz", {"status": "ok"})
    scripted.error("GET", "/readyz", 503, "the store does not answer", details={"store": "full"})
    scripted.data("GET", "/readyz", {"status": "ok"})
    broken = holdfast("health")
    assert broken.status == 10
    assert "the store does not answer\n  store: full" in broken.err
    assert holdfast("health", "-o", "json").json == {"status": "ok", "live": True, "ready": True}
