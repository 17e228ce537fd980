"""`holdfast backup import`: what is sent, and how an upload goes on."""

import hashlib
from pathlib import Path

import pytest

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import Holdfast

A = "/v1/projects/p/addons/a"
MADE = {
    "id": "imported",
    "name": "Imported",
    "status": "scheduled",
    "backupType": "dump",
    "createdAt": "2026-01-20T11:19:53.175Z",
    "config": {"source": {"type": "fileUpload"}, "size": "0"},
}


def test_an_address_is_sent_as_it_is(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("POST", f"{A}/import", MADE)
    ran = holdfast("backup", "import", "--url", "https://x/y.gz", "--name", "Old", "-c", "zstd")
    assert ran.status == 0
    assert scripted.asked[0].json == {
        "importUrl": "https://x/y.gz",
        "name": "Old",
        "compressionType": "zstd",
    }


@pytest.mark.parametrize("option", ["--url", "--url-file"])
def test_what_is_wrong_with_an_address_names_the_option_that_said_it(
    holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path, option: str
) -> None:
    problem = {"importUrl": "is not an http(s) URL"}
    scripted.error("POST", f"{A}/import", 400, "the request is not valid", details=problem)
    (tmp_path / "url").write_text("ftp://x/y\n")
    said = "ftp://x/y" if option == "--url" else str(tmp_path / "url")
    ran = holdfast("backup", "import", option, said)
    assert ran.status == 7
    assert f"{option}: is not an http(s) URL" in ran.err


def test_a_connection_string_comes_from_a_file(
    holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path
) -> None:
    scripted.data("POST", f"{A}/import", MADE)
    file = tmp_path / "url.txt"
    file.write_text("postgresql://u:p@h/d\n")
    ran = holdfast("backup", "import", "--connection-string-file", str(file), "--only-its-database")
    assert ran.status == 0
    sent = {"connectionString": "postgresql://u:p@h/d", "importAllDatabases": False}
    assert scripted.asked[0].json == sent


def test_a_file_is_uploaded_in_parts(
    holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path
) -> None:
    file = tmp_path / "shop.dump"
    file.write_bytes(b"0123456789")
    upload = f"{A}/uploads/u1"
    scripted.data("POST", f"{A}/uploads", {"id": "u1", "received": 0, "partSize": 6})
    scripted.data("GET", upload, {"id": "u1", "received": 0, "partSize": 6})
    scripted.data("PUT", f"{upload}/content", {"id": "u1", "received": 6, "partSize": 6})
    scripted.data("PUT", f"{upload}/content", {"id": "u1", "received": 10, "partSize": 6})
    scripted.data("POST", f"{A}/import", MADE)
    ran = holdfast("backup", "import", "--file", str(file))
    assert ran.status == 0
    assert "--resume u1" in ran.err
    announced, _, first, second, asked = scripted.asked
    assert announced.json == {"size": 10, "sha256": hashlib.sha256(b"0123456789").hexdigest()}
    assert [part.body for part in (first, second)] == ["012345", "6789"]
    assert [part.query["offset"] for part in (first, second)] == ["0", "6"]
    assert asked.json == {"uploadId": "u1"}


def test_an_upload_is_resumed(holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path) -> None:
    file = tmp_path / "shop.dump"
    file.write_bytes(b"0123456789")
    upload = f"{A}/uploads/u1"
    scripted.data("GET", upload, {"id": "u1", "received": 8, "partSize": 6})
    scripted.data("PUT", f"{upload}/content", {"id": "u1", "received": 10, "partSize": 6})
    scripted.data("POST", f"{A}/import", MADE)
    assert holdfast("backup", "import", "--file", str(file), "--resume", "u1").status == 0
    assert scripted.asked[1].body == "89"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--url", "http://x/", "--url-file", "-"],
        ["--url", "http://x/", "--resume", "u1"],
        ["--file", "/does/not/exist"],
    ],
)
def test_exactly_one_source_is_wanted(
    holdfast: Holdfast, scripted: ScriptedApi, options: list[str]
) -> None:
    assert holdfast("backup", "import", *options).status == 2
    assert scripted.asked == []
