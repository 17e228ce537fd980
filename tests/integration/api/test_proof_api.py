"""Signed reports over the API and the command line: who may, what is refused, what is written."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.attached import Attached
from fixtures.holdfast import Api, Server, await_backup, fresh
from fixtures.http_api import Holdfast, Ran
from holdfast.client import Client
from holdfast.domain.access import Permission
from holdfast.kit.seal import Secret
from holdfast.kit.sign import PublicKey

pytestmark = pytest.mark.sqlite_first

TokenOf = Callable[..., Api]
REPORTS = "/proof/reports"
AUDITOR = [Permission.AUDIT_READ]


def day(later: int = 0) -> str:
    """Today and so many days, as a report's period is given."""
    return (datetime.now(UTC) + timedelta(days=later)).date().isoformat()


def report(api: Api, **more: Any) -> dict[str, Any]:
    """A new report about today; the key makes it no repetition of the one before."""
    key = {"idempotency-key": fresh("report")}
    return api.post(REPORTS, {"from": day(), **more}, headers=key).data


def read(api: Api, number: int, file: str) -> bytes:
    answer = api.raw("GET", f"{REPORTS}/{number}/{file}")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_report_has_the_backups_and_its_key_needs_no_token(
    api: Api, attached: Attached, server: Server
) -> None:
    backups = f"{attached.path}/backups"
    backup = api.post(backups, {"name": fresh("Backup"), "backupType": "dump"}).data["id"]
    await_backup(api, f"{backups}/{backup}")
    made = report(api, projectId=attached.project)
    assert made["madeBy"] == "owner"
    document = json.loads(read(api, made["number"], "json"))
    (addon,) = document["addons"]
    assert [row["id"] for row in addon["backups"]] == [backup]
    assert addon["protection"]["state"] == "no plan"
    assert {change["object"]["project"] for change in document["changes"]} == {attached.project}
    page = api.raw("GET", f"{REPORTS}/{made['number']}/html")
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["x-content-type-options"] == "nosniff"
    key = httpx.get(f"{server.url}/v1/proof/key", timeout=60)
    assert key.headers["content-type"] == "application/x-pem-file"
    public = PublicKey.from_pem(key.text)
    assert public.fingerprint == made["keySha256"] == document["keySha256"]
    assert public.verifies(read(api, made["number"], "sig"), read(api, made["number"], "json"))
    assert "PRIVATE" not in key.text
    (entry,) = api.get("/audit-log", kind="report", objectId=str(made["number"])).data["entries"]
    assert entry["action"] == "make_report"
    assert entry["object"]["project"] == attached.project
    assert entry["after"]["sha256"] == made["sha256"]


def test_reports_are_listed_and_each_names_the_one_before(api: Api) -> None:
    first, second = report(api), report(api)
    assert second["number"] == first["number"] + 1
    assert second["previousSha256"] == first["sha256"]
    assert second["previousOfScope"] == first["number"]
    listed = api.get(REPORTS, per_page=2).data["reports"]
    assert [item["number"] for item in listed] == [second["number"], first["number"]]
    assert api.get(f"{REPORTS}/{first['number']}").data == first
    assert api.get(f"{REPORTS}/{second['number'] + 1000}").status == 404


def test_a_repeated_request_is_one_report(api: Api) -> None:
    body = {"from": day(-1), "to": day()}
    first, second = (api.post(REPORTS, body).data for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("body", "field", "word"),
    [
        ({}, "from", "is required"),
        ({"from": "soon"}, "from", "a day such as 2026-10-01"),
        ({"from": day(), "to": day(-3)}, "from", "must be before `to`"),
        ({"from": day(-3), "to": day(3)}, "to", "is in the future"),
        ({"from": day(-400), "to": day(-1)}, "from", "ask for several reports"),
        ({"from": day(), "projectId": "no-such"}, "projectId", "holdfast project list"),
        ({"from": day(), "until": day()}, "until", "is not a known setting"),
    ],
)
def test_a_bad_request_names_the_field_and_the_remedy(
    api: Api, body: dict[str, str], field: str, word: str
) -> None:
    refused = api.post(REPORTS, body)
    assert refused.status == 400
    assert word in refused.details[field]


def test_a_token_of_some_projects_has_reports_about_them_only(
    api: Api, attached: Attached, token_of: TokenOf
) -> None:
    everything, theirs = report(api), report(api, projectId=attached.project)
    auditor = token_of(AUDITOR, projects=[attached.project])
    assert auditor.post(REPORTS, {"from": day()}).status == 403
    assert auditor.post(REPORTS, {"from": day(), "projectId": api.project()}).status == 400
    assert auditor.get(f"{REPORTS}/{everything['number']}").status == 404
    assert auditor.get(f"{REPORTS}/{theirs['number']}").data == theirs
    assert auditor.raw("GET", f"{REPORTS}/{everything['number']}/json").status_code == 404
    again = report(auditor, projectId=attached.project)
    assert again["previousOfScope"] == theirs["number"]
    numbers = [item["number"] for item in auditor.get(REPORTS).data["reports"]]
    assert numbers == [again["number"], theirs["number"]]
    assert token_of([Permission.ADDON_READ]).get(REPORTS).status == 403
    assert token_of([Permission.ADDON_READ]).post(REPORTS, {"from": day()}).status == 403


def test_the_command_line_exports_and_verifies(
    server: Server,
    fresh_holdfast: Holdfast,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def holdfast(*words: str) -> Ran:
        return fresh_holdfast("proof", *words)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_HOST", server.url)
    monkeypatch.setenv("HOLDFAST_TOKEN", server.token)
    exported = holdfast("export", "--from", day(-1), "--output", "files", "-o", "json")
    assert exported.status == 0, exported.err
    number = str(exported.json["number"])
    names = sorted(path.name for path in Path("files").iterdir())
    assert names == [f"report-{number}.{kind}" for kind in ("html", "json", "sig")]
    assert number in holdfast("list", "--limit", "1").out
    assert exported.json["keySha256"] in holdfast("key", "--output", "key.pem").out
    assert holdfast("download", number, "--output", "files").status == 0
    refused = holdfast("export", "--from", day(1))
    assert refused.status == 7
    assert "--from: must be before" in refused.err
    monkeypatch.delenv("HOLDFAST_HOST")  # from here on offline
    verified = holdfast("verify", "files", "--key", "key.pem")
    assert verified.status == 0, verified.err
    assert "verified" in verified.out
    Path("files", f"report-{number}.html").write_text("better")
    changed = holdfast("verify", "files", "--key", "key.pem")
    assert changed.status == 11
    assert "the HTML was changed" in changed.err
    for words in (
        ("files", "--key", "files"),
        (".", "--key", "key.pem"),
        ("no", "--key", "key.pem"),
    ):
        assert holdfast("verify", *words).status == 2
    monkeypatch.setenv("HOLDFAST_HOST", server.url)
    kept = holdfast("download", number, "--output", "files")
    assert kept.status == 2
    assert "is there with other content" in " ".join(kept.err.split())


def test_the_client_says_the_same(api: Api, server: Server) -> None:
    made = report(api)
    with Client(server.url, Secret(server.token)) as client:
        assert next(iter(client.proof.list())).document() == made
        assert PublicKey.from_pem(client.proof.key()).fingerprint == made["keySha256"]
        with client.proof.open(made["number"], "html") as file:
            assert b"".join(file.chunks()).startswith(b"<!DOCTYPE html>")
        assert file.sha256 == made["htmlSha256"]
