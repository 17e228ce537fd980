"""B6: the signed link, and the file behind it, opened with stock tools."""

import gzip
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fixtures.attached import ROWS, Attached
from fixtures.holdfast import Api, await_backup, through_proxy
from holdfast.domain.access import Permission


@pytest.fixture
def link(api: Api, attached: Attached, backup: str) -> str:
    return api.get(f"{attached.path}/backups/{backup}/download-link").data["downloadLink"]


def test_the_link_needs_no_token_but_its_signature(link: str) -> None:
    path, _, query = link.partition("?")
    given = dict(pair.split("=") for pair in query.split("&"))
    assert httpx.get(link, timeout=60).status_code == 200
    for wrong in (
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "é"},
        {"expires": str(int(given["expires"]) + 1)},
        {"expires": "1"},
        {"by": "somebody-else"},
        {"by": ""},
    ):
        answer = httpx.get(path, params={**given, **wrong}, timeout=60)
        assert answer.status_code == 403
        assert answer.json()["error"]["id"] == "forbidden"
    for broken in ({"expires": "soon"}, {"expires": "9" * 5000}, {"expires": ""}):
        assert httpx.get(path, params={**given, **broken}, timeout=60).status_code in (400, 403)
    assert httpx.get(path, timeout=60).status_code == 400
    assert (
        httpx.get(path.replace("good-one.tar.zst", "other"), params=given, timeout=60).status_code
        == 404
    )


def test_a_link_of_one_backup_opens_no_other(api: Api, attached: Attached, link: str) -> None:
    made = api.post(f"{attached.path}/backups", {"name": "Other", "backupType": "dump"}).data
    await_backup(api, f"{attached.path}/backups/{made['id']}")
    uid = link.split("/downloads/")[1].split("/", maxsplit=1)[0]
    assert httpx.get(link.replace(uid, made["uid"]), timeout=60).status_code == 403


def test_a_link_ends_with_the_token_that_asked_for_it(
    api: Api, token_of: Callable[..., Api], attached: Attached, backup: str
) -> None:
    leaving = token_of([Permission.ADDON_READ])
    newest = api.get("/tokens", per_page=1).data["tokens"][0]
    asked = leaving.get(f"{attached.path}/backups/{backup}/download-link").data["downloadLink"]
    assert httpx.get(asked, timeout=60).status_code == 200
    api.delete(f"/tokens/{newest['id']}")
    answer = httpx.get(asked, timeout=60)
    assert answer.status_code == 403
    assert "may not read" in answer.json()["error"]["message"]


def test_it_leads_where_the_caller_came_from(api: Api, attached: Attached, backup: str) -> None:
    path = f"{attached.path}/backups/{backup}/download-link"
    answer = api.ask("GET", path, headers={"host": "backups.example:8443"})
    assert answer.data["downloadLink"].startswith("http://backups.example:8443/v1/downloads/")


@pytest.mark.sqlite_first
def test_behind_a_trusted_proxy_links_are_https_and_the_caller_is_the_clients(
    api: Api, attached: Attached, backup: str
) -> None:
    """Believed of the proxy alone: whoever else says the same comes from where it comes from."""
    path, host = f"{attached.path}/backups/{backup}", {"host": "backups.example"}
    passed = {"for": "198.51.100.1, 203.0.113.9", "proto": "https"}
    proxied = through_proxy(api, passed)
    link = proxied.ask("GET", f"{path}/download-link", headers=host).data["downloadLink"]
    assert link.startswith("https://backups.example/v1/downloads/")
    assert proxied.http.get(link.replace("https://backups.example", api.url)).status_code == 200
    said = {f"x-forwarded-{name}": value for name, value in passed.items()}
    own = api.ask("GET", f"{path}/download-link", headers={**host, **said})
    assert own.data["downloadLink"].startswith("http://backups.example/v1/downloads/")
    proxied.post(f"{path}/retain")
    api.ask("PATCH", attached.path, {"description": "Mine"}, headers=said)
    by = {"addonId": attached.addon, "per_page": 100}
    told = {e["action"]: e["address"] for e in api.get("/audit-log", **by).data["entries"]}
    assert (told["retain_backup"], told["patch_addon"]) == ("203.0.113.9", "127.0.0.1")


def test_heads_and_ranges(link: str) -> None:
    whole = httpx.get(link, timeout=60)
    size = len(whole.content)
    assert whole.headers["content-length"] == str(size)
    assert whole.headers["accept-ranges"] == "bytes"
    assert 'filename="good-one.tar.zst"' in whole.headers["content-disposition"]
    head = httpx.head(link, timeout=60)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(size)
    for header, low, high in (
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, size),
        ("bytes=-50", size - 50, size),
        (f"bytes={size - 1}-{size + 50}", size - 1, size),
        ("bytes=511-1030", 511, 1031),
    ):
        part = httpx.get(link, headers={"range": header}, timeout=60)
        assert part.status_code == 206
        assert part.content == whole.content[low:high]
        assert part.headers["content-range"] == f"bytes {low}-{high - 1}/{size}"
    beyond = httpx.get(link, headers={"range": f"bytes={size}-"}, timeout=60)
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"
    for ignored in ("bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=x-y"):
        assert httpx.get(link, headers={"range": ignored}, timeout=60).content == whole.content


@pytest.mark.parametrize(
    ("compression", "open_it", "suffix"),
    [("zstd", ["zstd", "-dc"], "zst"), ("gz", ["gunzip", "-c"], "gz")],
)
def test_stock_tools_open_it(
    api: Api, attached: Attached, tmp_path: Path, compression: str, open_it: list[str], suffix: str
) -> None:
    order = {"name": "Stock", "backupType": "dump", "compressionType": compression}
    made = api.post(f"{attached.path}/backups", order).data["id"]
    await_backup(api, f"{attached.path}/backups/{made}")
    shown = api.get(f"{attached.path}/backups/{made}/download-link").data["downloadLink"]
    assert f"/{made}.tar.{suffix}?" in shown
    with httpx.stream("GET", shown, timeout=60) as body, (tmp_path / "it").open("wb") as file:
        for chunk in body.iter_raw():
            file.write(chunk)
    with (tmp_path / "it").open("rb") as packed, (tmp_path / "it.tar").open("wb") as tar:
        subprocess.run(open_it, stdin=packed, stdout=tar, check=True)
    subprocess.run(["tar", "xf", "it.tar"], cwd=tmp_path, check=True)
    (dump,) = tmp_path.rglob(f"{attached.database}.dump*")
    if dump.suffix != ".dump":
        with dump.open("rb") as packed, (tmp_path / "plain.dump").open("wb") as plain:
            subprocess.run(open_it, stdin=packed, stdout=plain, check=True)
        dump = tmp_path / "plain.dump"
    restore = str(attached.postgres.bin_dir / "pg_restore")
    listed = subprocess.run([restore, "-l", dump], capture_output=True, text=True, check=True)
    assert "TABLE DATA public things" in listed.stdout
    script = subprocess.run([restore, "-f", "-", dump], capture_output=True, text=True, check=True)
    rows = script.stdout.split("FROM stdin;\n")[1].split("\n\\.")[0].splitlines()
    assert len(rows) == ROWS
    (roles,) = tmp_path.rglob("globals.sql*")
    assert roles.stat().st_size > 0


@pytest.mark.sqlite_first
def test_all_databases_are_in_one_file(api: Api, attached: Attached, tmp_path: Path) -> None:
    postgres, other = attached.postgres, f"other_{secrets.token_hex(4)}"
    postgres.run(f'CREATE DATABASE "{other}"')
    try:
        postgres.run("CREATE TABLE more AS SELECT 1 AS one", other)
        order = {"name": "Several", "backupType": "dump"}
        made = api.post(f"{attached.path}/backups", order).data["id"]
        await_backup(api, f"{attached.path}/backups/{made}")
    finally:
        postgres.run(f'DROP DATABASE "{other}"')
    shown = api.get(f"{attached.path}/backups/{made}/download-link").data["downloadLink"]
    (tmp_path / "it.tar.gz").write_bytes(httpx.get(shown, timeout=60).content)
    subprocess.run(["tar", "xzf", "it.tar.gz"], cwd=tmp_path, check=True)
    restore = str(attached.postgres.bin_dir / "pg_restore")
    listed = ""
    for packed in tmp_path.rglob("*.dump*"):
        dump = gzip.decompress(packed.read_bytes()) if packed.suffix == ".gz" else None
        source = ["-l"] if dump else ["-l", str(packed)]
        said = subprocess.run([restore, *source], input=dump, capture_output=True, check=True)
        listed += said.stdout.decode()
    assert "TABLE DATA public things" in listed
    assert "TABLE DATA public more" in listed


def test_what_is_deleted_is_gone(api: Api, attached: Attached, backup: str, link: str) -> None:
    assert api.delete(f"{attached.path}/backups/{backup}", force="true").data == {}
    answer = httpx.get(link, timeout=60)
    assert (answer.status_code, answer.json()["error"]["id"]) == (404, "not-found")
