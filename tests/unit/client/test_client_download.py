"""Downloads: whole, counted and digested, or an error; our token does not travel along."""

import gzip
import hashlib

import pytest

from fakes.scripted_api import Reply, ScriptedApi
from holdfast.client import ApiError, Client, ServerFault, Unreachable
from holdfast.client.transport.download import Download

BACKUP = "/v1/projects/p/addons/a/backups/b"
CONTENT = gzip.compress(b"a dump" * 1000)


def fetch(client: Client) -> tuple[bytes, Download]:
    with client.backups.download("p", "a", "b") as coming:
        return b"".join(coming.chunks()), coming


def link(api: ScriptedApi, target: str) -> None:
    api.data("GET", f"{BACKUP}/download-link", {"downloadLink": target})


@pytest.mark.parametrize("relative", [True, False])
def test_the_bytes_are_those_stored(
    scripted: ScriptedApi, api_client: Client, relative: bool
) -> None:
    link(scripted, ("" if relative else scripted.url) + "/files/b.tar?signature=s")
    headers = {"Content-Encoding": "gzip", "Content-Disposition": 'attachment; filename="b.gz"'}
    scripted.raw("GET", "/files/b.tar", Reply(200, CONTENT, headers))
    content, coming = fetch(api_client)
    assert content == CONTENT
    assert (coming.name, coming.received) == ("b.gz", len(CONTENT))
    assert coming.sha256 == hashlib.sha256(CONTENT).hexdigest()
    (asked,) = scripted.of("GET", "/files/b.tar")
    assert asked.query == {"signature": "s"}
    assert "authorization" not in asked.headers


def test_a_download_cut_short_is_an_error(scripted: ScriptedApi, api_client: Client) -> None:
    link(scripted, "/files/b.gz")
    scripted.raw("GET", "/files/b.gz", Reply(200, CONTENT, announced=len(CONTENT) + 1))
    with pytest.raises(Unreachable):
        fetch(api_client)


def test_an_expired_link_says_so(scripted: ScriptedApi, api_client: Client) -> None:
    link(scripted, "/files/b.gz")
    scripted.error("GET", "/files/b.gz", 403, "the link has expired")
    with pytest.raises(ApiError, match="expired"):
        fetch(api_client)


def test_a_store_that_answers_in_xml_is_an_error(scripted: ScriptedApi, api_client: Client) -> None:
    link(scripted, "/files/b.gz")
    scripted.raw("GET", "/files/b.gz", Reply(403, b"<Error>AccessDenied</Error>"))
    with pytest.raises(ServerFault, match="403"):
        fetch(api_client)


@pytest.mark.parametrize(
    ("headers", "path", "name"),
    [
        ({"Content-Disposition": "attachment; filename=../../etc/passwd"}, "/f/x.gz", "passwd"),
        ({"Content-Disposition": 'attachment; filename=".."'}, "/f/x.gz", "b.backup"),
        ({}, "/f/dump.tar.zst", "dump.tar.zst"),
        ({}, "/f/opaque", "b.backup"),
    ],
)
def test_names_are_plain_file_names(
    scripted: ScriptedApi, api_client: Client, headers: dict[str, str], path: str, name: str
) -> None:
    link(scripted, path)
    scripted.raw("GET", path, Reply(200, b"x", headers))
    assert fetch(api_client)[1].name == name
