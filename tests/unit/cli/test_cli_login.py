"""Logging in, the file of contexts, and which server a command talks to."""

import io
import json
import stat
from pathlib import Path

import pytest

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import TOKEN, Holdfast


@pytest.fixture
def logged_in(fresh_holdfast: Holdfast, scripted: ScriptedApi) -> Holdfast:
    scripted.data("GET", "/v1/login", {})
    done = fresh_holdfast("login", "--host", scripted.url + "/", "--token", TOKEN, "--name", "here")
    assert done.status == 0
    return fresh_holdfast


def test_login_proves_the_token_and_keeps_it_private(
    logged_in: Holdfast, scripted: ScriptedApi, holdfast_home: Path
) -> None:
    assert scripted.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert stat.S_IMODE(holdfast_home.stat().st_mode) == 0o600
    assert stat.S_IMODE(holdfast_home.parent.stat().st_mode) == 0o700
    saved = json.loads(holdfast_home.read_text())
    here = {"host": scripted.url, "token": TOKEN}
    assert saved == {"current": "here", "contexts": {"here": here}}
    assert [file.name for file in holdfast_home.parent.iterdir()] == ["config.json"]


def test_a_refused_token_is_not_kept(
    fresh_holdfast: Holdfast, scripted: ScriptedApi, holdfast_home: Path
) -> None:
    scripted.error("GET", "/v1/login", 401, "this token has expired")
    ran = fresh_holdfast("login", "--host", scripted.url, "--token", TOKEN)
    assert (ran.status, ran.out) == (4, "")
    assert ran.err == "error: this token has expired\n"
    assert not holdfast_home.exists()


def test_a_token_from_a_file_or_standard_input(
    fresh_holdfast: Holdfast,
    scripted: ScriptedApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted.data("GET", "/v1/login", {})
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("from-stdin\n"))
    login = ("login", "--host", scripted.url, "--token-file")
    assert fresh_holdfast(*login, str(tmp_path / "token")).status == 0
    assert fresh_holdfast(*login, "-").status == 0
    assert fresh_holdfast(*login, str(tmp_path / "absent")).status == 2
    used = [asked.headers["authorization"] for asked in scripted.asked]
    assert used == ["Bearer from-file", "Bearer from-stdin"]


def test_without_a_token_and_a_terminal_login_is_a_usage_error(
    fresh_holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ran = fresh_holdfast("login", "--host", "http://127.0.0.1:1")
    assert ran.status == 2
    assert "--token-file" in ran.err


def test_contexts_are_listed_without_their_tokens(logged_in: Holdfast) -> None:
    for form in ("table", "json"):
        ran = logged_in("context", "list", "-o", form)
        assert "here" in ran.out
        assert TOKEN not in ran.out + ran.err


def test_a_context_supplies_project_and_addon(logged_in: Holdfast, scripted: ScriptedApi) -> None:
    assert logged_in("backup", "list").status == 2
    assert logged_in("context", "use", "--project", "p1", "--addon", "a1").status == 0
    scripted.data("GET", "/v1/projects/p1/addons/a1/backups", {"backups": []})
    scripted.data("GET", "/v1/projects/p1/addons/a2/backups", {"backups": []})
    assert logged_in("backup", "list").status == 0
    assert logged_in("backup", "list", "--addon", "a2").status == 0
    assert logged_in("context", "list", "-o", "json").json[0]["project"] == "p1"


def test_another_default_project_forgets_the_default_addon(logged_in: Holdfast) -> None:
    logged_in("context", "use", "--project", "p1", "--addon", "a1")
    logged_in("context", "use", "--project", "p2")
    assert "addon" not in logged_in("context", "list", "-o", "json").json[0]


def test_a_saved_token_never_goes_to_another_host(
    logged_in: Holdfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedApi().running() as other:
        other.data("GET", "/v1/about", {"version": "1"})
        monkeypatch.setenv("HOLDFAST_HOST", other.url)
        assert logged_in("about").status == 0
        assert "authorization" not in other.asked[0].headers


def test_a_named_context_beats_the_environment(
    logged_in: Holdfast, scripted: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_HOST", "http://127.0.0.1:1")
    scripted.data("GET", "/v1/about", {"version": "7"})
    assert logged_in("about", "--context", "here", "-o", "json").json == {"version": "7"}
    assert logged_in("about", "--context", "nowhere").status == 2


def test_logout_and_remove_forget_the_token(logged_in: Holdfast, holdfast_home: Path) -> None:
    assert logged_in("logout").status == 0
    assert TOKEN not in holdfast_home.read_text()
    assert logged_in("about").status == 4
    assert logged_in("context", "remove", "here").status == 2


def test_a_damaged_file_of_contexts_is_one_clear_line(
    fresh_holdfast: Holdfast, holdfast_home: Path
) -> None:
    holdfast_home.parent.mkdir(parents=True)
    for damage in ("{", "[]", '{"contexts": {"x": {}}}'):
        holdfast_home.write_text(damage)
        ran = fresh_holdfast("context", "list")
        assert ran.status == 1
        assert ran.err.startswith("error: ")
        assert str(holdfast_home) in ran.err
        assert "Traceback" not in ran.err
