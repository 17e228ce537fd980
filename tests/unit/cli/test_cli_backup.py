"""`holdfast backup`: what is sent, what is shown, and how the exit status is decided."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.scripted_api import Reply, ScriptedApi
from fixtures.http_api import Holdfast

A = "/v1/projects/p/addons/a"
B = f"{A}/backups/nightly"
LONG_ID = "a-very-long-identifier-" * 8 + "end"


def backup(status: str, **more: object) -> dict[str, object]:
    config = {"source": {"type": "sameAddon"}, "size": "1536", "compressionType": "zstd"}
    made = {"id": "nightly", "name": "Nightly", "createdAt": "2026-01-20T11:19:53.175Z"}
    return {**made, "status": status, "backupType": "dump", "config": config, **more}


def test_create_sends_what_was_asked_and_prints_the_answer(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    sent = backup("scheduled")
    scripted.data("POST", f"{A}/backups", sent)
    ran = holdfast(
        "backup", "create", "--name", "Nightly", "--type", "dump", "--compression", "zstd",
        "--destination", "off-site", "-o", "json",
    )  # fmt: skip
    assert ran.status == 0
    assert ran.json == sent
    assert ran.err == ""
    assert scripted.asked[0].json == {
        "name": "Nightly",
        "backupType": "dump",
        "compressionType": "zstd",
        "customDestinationId": "off-site",
    }


def test_a_snapshot_can_be_asked_to_be_gentle(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("POST", f"{A}/backups", backup("scheduled"))
    assert holdfast("backup", "create", "--max-rate", "4096").status == 0
    assert scripted.asked[0].json == {"maxRate": 4096}


def test_lost_copies_are_repaired(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("POST", f"{A}/backups/nightly/repair", {})
    assert holdfast("backup", "repair", "nightly").status == 0
    assert len(scripted.asked) == 1


def test_create_without_options_leaves_the_choice_to_the_server(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    scripted.data("POST", f"{A}/backups", backup("scheduled"))
    assert holdfast("backup", "create").status == 0
    assert scripted.asked[0].json == {}


def test_create_from_a_file_with_options_over_it(
    holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path
) -> None:
    scripted.data("POST", f"{A}/backups", backup("scheduled"))
    body = tmp_path / "body.json"
    body.write_text('{"name": "file", "backupType": "snapshot", "additionalDestinations": []}')
    assert holdfast("backup", "create", "-f", str(body), "--name", "option").status == 0
    assert scripted.asked[0].json == {
        "name": "option",
        "backupType": "snapshot",
        "additionalDestinations": [],
    }


@pytest.mark.parametrize(
    ("end", "status"), [("completed", 0), ("failed", 11), ("aborted", 11), ("not-supported", 11)]
)
def test_wait_shows_progress_and_the_end_decides_the_exit_status(
    holdfast: Holdfast, scripted: ScriptedApi, end: str, status: int
) -> None:
    scripted.data("POST", f"{A}/backups", backup("scheduled"))
    progress = {"bytes": 1048576, "step": "copy"}
    scripted.data("GET", B, backup("in-progress", progress=progress))
    scripted.data("GET", B, backup(end, reason="because"))
    ran = holdfast("backup", "create", "--wait", "-o", "json")
    assert ran.status == status
    assert ran.json["status"] == end
    assert "backup nightly: in-progress, copy (1.0 MiB)\n" in ran.err
    assert (f"error: the backup nightly ended {end}: because" in ran.err) is (status != 0)


def test_a_wait_that_takes_too_long_is_12(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("GET", B, backup("in-progress"))
    ran = holdfast("backup", "wait", "nightly", "--timeout", "0.3")
    assert (ran.status, ran.out) == (12, "")
    assert "0.3 seconds" in ran.err


def test_a_list_is_a_plain_whole_table_without_a_terminal(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    expiring = {"expiresAt": "2026-01-27T11:19:53.175Z"}
    both = [backup("completed", id=LONG_ID), backup("failed", **expiring)]
    scripted.data("GET", f"{A}/backups", {"backups": both}, pagination={"count": 2})
    ran = holdfast("backup", "list")
    titles, first, second = ran.out.splitlines()
    assert titles.split() == [
        *("ID", "STATUS", "TYPE", "SIZE", "CREATED", "COMPLETED", "EXPIRES", "WARNINGS"),
    ]
    expected = [LONG_ID, "completed", "dump", "1.5", "KiB", "2026-01-20T11:19:53Z"]
    assert first.split() == [*expected, "never"]
    assert second.split()[:2] == ["nightly", "failed"]
    assert second.endswith("2026-01-27T11:19:53Z")


def test_a_json_list_holds_every_page_and_a_limit_stops_early(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    page = {"backups": [backup("completed"), backup("completed")]}
    scripted.data("GET", f"{A}/backups", page, pagination={"cursor": "c" * 24})
    scripted.data("GET", f"{A}/backups", page, pagination={"cursor": "d" * 24})
    scripted.data("GET", f"{A}/backups", page)
    assert holdfast("backup", "list", "-o", "json", "--limit", "2").json == page["backups"]
    assert len(scripted.asked) == 1
    assert len(holdfast("backup", "list", "-o", "json").json) == 4


def test_an_empty_list_is_an_empty_array(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("GET", f"{A}/backups", {"backups": []})
    assert holdfast("backup", "list", "-o", "json").json == []
    table = holdfast("backup", "list")
    assert (table.out, table.err) == ("", "nothing found\n")


def test_deleting_asks_first(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("DELETE", B, {})
    refused = holdfast("backup", "delete", "nightly")
    assert refused.status == 2
    assert "--yes" in refused.err
    assert scripted.asked == []
    agreed = holdfast("backup", "delete", "nightly", "--yes", "-o", "json")
    assert (agreed.status, agreed.json) == (0, {})
    (asked,) = scripted.of("DELETE", B)
    assert asked.query == {}


def test_only_force_deletes_the_last_good_one(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    details = {"force": "must be true"}
    message = "nightly is the last good backup of a; deleting it needs force"
    scripted.error("DELETE", B, 409, message, details=details)
    scripted.data("DELETE", B, {})
    refused = holdfast("backup", "delete", "nightly", "--yes")
    assert refused.status == 8
    assert message in refused.err
    assert "--force" in refused.err
    assert holdfast("backup", "delete", "nightly", "--force").status == 0
    assert [asked.query for asked in scripted.of("DELETE", B)] == [{}, {"force": "true"}]


@pytest.mark.parametrize("verb", ["abort", "retain"])
def test_verbs_without_a_body(holdfast: Holdfast, scripted: ScriptedApi, verb: str) -> None:
    scripted.data("POST", f"{B}/{verb}", {})
    assert holdfast("backup", verb, "nightly").status == 0
    assert scripted.asked[0].body == ""


def test_logs_are_lines(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    line = {"containerId": "c", "log": "dump \x1b[31mdone", "ts": "2026-01-20T11:19:53.175Z"}
    scripted.data("GET", f"{B}/logs", [line, line])
    ran = holdfast("backup", "logs", "nightly", "--since", "2h", "--lines", "9")
    assert ran.out == "2026-01-20T11:19:53.175Z  dump �[31mdone\n" * 2
    assert scripted.asked[0].query == {"queryType": "range", "duration": "7200", "lineLimit": "9"}
    assert len(holdfast("backup", "logs", "nightly", "-o", "json").out.splitlines()) == 2


def test_evidence_is_shown_whole(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    document = {"checks": [{"name": "size", "passed": True}], "digests": {"sha256": "ab"}}
    scripted.data("GET", f"{B}/evidence", document)
    assert holdfast("backup", "evidence", "nightly", "-o", "json").json == document
    table = holdfast("backup", "evidence", "nightly").out
    assert [line.split() for line in table.splitlines()] == [
        ["checks.0.name", "size"],
        ["checks.0.passed", "yes"],
        ["digests.sha256", "ab"],
    ]


@pytest.fixture
def artifact(scripted: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.chdir(tmp_path)
    content = os.urandom(300_000)
    scripted.data("GET", f"{B}/download-link", {"downloadLink": f"{scripted.url}/f/n.tar.zst"})
    scripted.raw("GET", "/f/n.tar.zst", Reply(200, content))
    return content


def test_download_to_the_suggested_name(
    holdfast: Holdfast, artifact: bytes, tmp_path: Path
) -> None:
    ran = holdfast("backup", "download", "nightly", "-o", "json")
    assert ran.json == {
        "file": "n.tar.zst",
        "bytes": len(artifact),
        "sha256": hashlib.sha256(artifact).hexdigest(),
    }
    assert (tmp_path / "n.tar.zst").read_bytes() == artifact
    assert not list(tmp_path.glob("*.part"))


def test_download_replaces_nothing_unasked(
    holdfast: Holdfast, artifact: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "mine"
    target.write_bytes(b"old")
    download = ("backup", "download", "nightly", "--output", str(target))
    assert holdfast(*download).status == 2
    assert target.read_bytes() == b"old"
    assert holdfast(*download, "--overwrite").status == 0
    assert target.read_bytes() == artifact


def test_download_to_standard_output(holdfast: Holdfast, artifact: bytes) -> None:
    program = "from holdfast.cli.main import main; main()"
    line = [sys.executable, "-c", program, "backup", "download", "nightly", "--output", "-"]
    ran = subprocess.run(line, capture_output=True, check=True, timeout=60)
    assert (ran.stdout, ran.stderr) == (artifact, b"")


def test_a_broken_download_leaves_nothing(
    holdfast: Holdfast, artifact: bytes, scripted: ScriptedApi, tmp_path: Path
) -> None:
    scripted.data("GET", f"{B}/download-link", {"downloadLink": f"{scripted.url}/f/cut.zst"})
    scripted.raw("GET", "/f/cut.zst", Reply(200, artifact, announced=len(artifact) + 5))
    assert holdfast("backup", "download", "nightly").status == 0
    assert holdfast("backup", "download", "nightly").status == 3
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["n.tar.zst"]
