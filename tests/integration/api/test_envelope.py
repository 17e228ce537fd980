"""Rules that hold for every route: envelopes, wrong methods, bad bodies, prefixes."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from fixtures.holdfast import Api, fresh

pytestmark = pytest.mark.sqlite_first


def test_an_unknown_route_is_a_json_404(api: Api) -> None:
    for path in ("/nowhere", "/regions", "/plans", "/projects/", "/projects/x/services"):
        assert api.get(path).error["message"].startswith("there is no such route")
        assert api.get(path).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/login"), ("DELETE", "/projects"), ("PATCH", "/projects/x/addons"), ("POST", "/x/y")],
)
def test_a_wrong_method_is_a_json_405_or_404(api: Api, method: str, path: str) -> None:
    assert api.ask(method, path, {}).status == (404 if path == "/x/y" else 405)


def test_a_405_names_every_method_of_the_path(api: Api) -> None:
    for path, methods in (("/projects", "GET, POST, PUT"), ("/projects/x", "GET, PATCH, DELETE")):
        assert api.ask("OPTIONS", path).headers["allow"] == methods


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"name": }',
        b'{"name":"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":"\xff"}',
    ],
)
def test_malformed_json_is_a_400(api: Api, body: bytes) -> None:
    answer = api.post("/projects", content=body)
    assert answer.status == 400
    assert "JSON" in answer.error["message"]
    assert "body" in answer.details


@pytest.mark.parametrize("body", [b'"text"', b"[]", b"3", b"true"])
def test_a_body_that_is_no_object_is_a_400(api: Api, body: bytes) -> None:
    assert api.post("/projects", content=body).details.keys() == {"body"}


def test_an_empty_or_null_body_is_an_empty_object(api: Api) -> None:
    for body in (b"", b"null", b" \n"):
        assert api.post("/projects", content=body).details == {"name": "is required"}


def test_a_body_that_is_too_large_is_a_413(api: Api) -> None:
    assert api.post("/projects", content=b" " * (1 << 20) + b"{}").status == 413


def test_another_content_type_is_a_415(api: Api) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert api.post("/projects", content=b"name=x", headers=headers).status == 415


def test_a_request_cut_off_in_its_body_changes_nothing(api: Api) -> None:
    name = fresh("Cut")
    body = json.dumps({"name": name}).encode()
    place = urlsplit(api.url)
    for sent in (b"", body):
        connection = http.client.HTTPConnection(place.hostname or "", place.port)
        connection.putrequest("PUT", "/v1/projects")
        connection.putheader("authorization", f"Bearer {api.token}")
        connection.putheader("content-length", str(len(body) + 5))
        connection.endheaders(sent)
        connection.close()
    assert api.get(f"/projects/{name.lower().replace(' ', '-')}").status == 404


def test_double_slashes_and_team_prefixes_lead_to_the_same_place(api: Api) -> None:
    project = api.project()
    for base in ("//v1", "/v1/teams/any", "//v1/teams/other", "/v1"):
        assert api.based(base).get(f"/projects/{project}").data["id"] == project


def test_every_documented_route_exists_below_a_team(api: Api) -> None:
    document = api.raw("GET", "/swagger-json").json()
    for path, operations in document["paths"].items():
        inner = path.removeprefix("/v1")
        if path.startswith("/v1/") and "downloads" not in path:
            for method in operations:
                concrete = inner.replace("{", "none-").replace("}", "")
                answer = api.based("/v1/teams/t").raw(method.upper(), concrete)
                assert answer.status_code == 200 or "no such route" not in answer.text
                assert answer.status_code not in (405, 500)


@pytest.mark.parametrize(
    "segment", ["%00", "a%00b", "%2e%2e", "a%0Ab", "%F0%9F%92%BE", "'%3B--", "%FF"]
)
def test_odd_path_segments_are_a_404(api: Api, segment: str) -> None:
    for path in (f"/projects/{segment}", f"/projects/{segment}/addons/{segment}/backups/{segment}"):
        assert api.get(path).status == 404
    assert api.get(f"/backup-destinations/{segment}").status == 404
    assert api.delete(f"/tokens/{segment}").status == 404


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "\U0001f4be" * 60])
def test_odd_text_in_free_fields_never_breaks_us(api: Api, text: str) -> None:
    bodies = [
        ("/projects", {"name": fresh("Odd"), "region": text, "clusterId": text}),
        ("/tokens", {"name": text, "role": "default"}),
        ("/tokens", {"name": "x", "role": text}),
        ("/tokens", {"name": "x", "role": "default", "projects": [text]}),
        ("/roles", {"name": "Odd role", "permissions": [text]}),
        ("/projects/none/addons", {"name": "x", "type": text}),
    ]
    for path, body in bodies:
        assert api.post(path, body).status in (200, 400, 404)
    assert api.get("/projects").status == 200
    assert api.get("/tokens").status == 200
