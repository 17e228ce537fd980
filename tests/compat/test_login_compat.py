"""The official command line and ours sign in through the browser."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.holdfast import HOLDFAST, Api, Server, await_that
from fixtures.official import OfficialCli
from fixtures.terminal import Terminal
from fixtures.visitors import Visitor, hidden, make_user

pytestmark = pytest.mark.sqlite_first
Start = Callable[[], Terminal]
_LINK = re.compile(r"https?://\S+/cli-login\?sessionToken=(\S+-[0-9a-f]{4}-[0-9a-f]{4})")


def link_of(terminal: Terminal) -> str:
    """The path of the page that the command line wants to be opened."""
    while not (match := _LINK.search(terminal.shown)):
        assert terminal.more(), terminal.shown
    return f"/cli-login?sessionToken={match[1]}"


def give(visitor: Visitor, path: str, decision: str = "give", **fields: str) -> str:
    page = visitor.get(path).text
    body = {"name": "laptop", "role": "default", "expiresInHours": "8", **fields}
    answer = visitor.post(
        "/cli-login",
        csrf=hidden(page, "csrf"),
        link=hidden(page, "link"),
        decision=decision,
        **body,
    )
    return answer.text


def test_the_official_command_line_gets_a_token_of_the_user(
    fresh_cli: OfficialCli, server: Server, api: Api, visitor: Visitor
) -> None:
    name = make_user(server)
    words = ("login", "--do-not-open-browser", "--host", server.url)
    with fresh_cli.at_terminal(*words) as terminal:
        path = link_of(terminal)
        assert visitor.get(path).status_code == 303
        visitor.sign_in(name)
        page = visitor.get(path).text
        assert f">{path[-9:]}<" in page
        assert "127.0.0.1, where you are" in page
        assert "It is signed in" in give(visitor, path)
        terminal.expect("Successfully logged in")
        assert terminal.end() == 0
    assert fresh_cli("list", "projects", "-o", "json").status == 0
    newest = api.get("/tokens", per_page=1).data["tokens"][0]
    assert (newest["name"], newest["role"]) == ("laptop", "default")
    assert newest["expiresAt"]
    assert visitor.get(path).status_code == 404, "a link is answered once"
    user = next(u for u in api.get("/users", per_page=100).data["users"] if u["name"] == name)
    api.delete(f"/users/{user['id']}")
    token = api.get("/tokens", per_page=1).data["tokens"][0]
    assert "revokedAt" in token, "what a user was given ends with the user"


def test_it_is_refused_and_falls_back_to_asking(
    fresh_cli: OfficialCli, server: Server, visitor: Visitor
) -> None:
    visitor.sign_in(make_user(server))
    words = ("login", "--do-not-open-browser", "-n", "typed", "--host", server.url)
    with fresh_cli.at_terminal(*words) as terminal:
        assert "Refused" in give(visitor, link_of(terminal), "refuse")
        terminal.expect("the login was refused in the browser")
        terminal.answer("Choose the login token:", server.token)
        terminal.expect("Successfully logged in")
        assert terminal.end() == 0
        assert server.token not in terminal.shown


def test_a_link_ends_with_its_command_line(
    fresh_cli: OfficialCli, server: Server, visitor: Visitor
) -> None:
    visitor.sign_in(make_user(server))
    words = ("login", "--do-not-open-browser", "--host", server.url)
    with fresh_cli.at_terminal(*words) as terminal:
        path = link_of(terminal)
        assert visitor.get(path).status_code == 200
    await_that(lambda: visitor.get(path).status_code == 404)


def test_a_role_above_ones_own_is_refused(
    fresh_cli: OfficialCli, server: Server, visitor: Visitor
) -> None:
    visitor.sign_in(make_user(server))
    words = ("login", "--do-not-open-browser", "--host", server.url)
    with fresh_cli.at_terminal(*words) as terminal:
        path = link_of(terminal)
        assert '<option value="owner"' not in visitor.get(path).text
        assert "not a role that you hold" in give(visitor, path, role="owner")
        assert visitor.get(path).status_code == 200


def test_our_command_line_does_the_same(server: Server, visitor: Visitor, tmp_path: Path) -> None:
    visitor.sign_in(make_user(server))
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}
    environment |= {"HOLDFAST_CONFIG": str(tmp_path / "config.json")}
    environment |= {"PYTHONPATH": ":".join(sys.path)}
    argv = [sys.executable, HOLDFAST, "login", "--no-browser", "--host", server.url]
    with Terminal(argv, environment) as terminal:
        path = link_of(terminal)
        give(visitor, path)
        terminal.expect("logged in to")
        assert terminal.end() == 0
