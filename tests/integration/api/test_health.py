"""Liveness, readiness and the published reference."""

import httpx

from fixtures.holdfast import Api, Server


def test_it_is_live_and_ready_without_a_token(server: Server) -> None:
    for path in ("/healthz", "/readyz"):
        answer = httpx.get(f"{server.url}{path}", timeout=60)
        assert (answer.status_code, answer.json()) == (200, {"data": {"status": "ok"}})


def test_the_owner_token_is_private_and_not_in_the_log(server: Server) -> None:
    assert (server.data_dir / "owner.token").stat().st_mode & 0o777 == 0o600
    assert server.token not in server.log.read_text()


def test_the_reference_is_openapi_and_readable(server: Server) -> None:
    document = httpx.get(f"{server.url}/v1/swagger-json", timeout=60).json()
    assert document["openapi"].startswith("3.1")
    assert "post" in document["paths"]["/v1/projects/{project_id}/addons/{addon_id}/backups"]
    assert "422" not in str(document["paths"])
    page = httpx.get(f"{server.url}/v1/swagger-html", timeout=60)
    assert page.headers["content-type"].startswith("text/html")
    assert "/v1/projects/{project_id}/addons/{addon_id}/backups" in page.text


def test_about_says_which_version_this_is(api: Api) -> None:
    assert api.get("/about").data["name"] == "holdfast"
