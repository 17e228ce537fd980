"""Every kind of failure has its exit status and one clear sentence on standard error."""

import os
import subprocess
import sys

import pytest

from fakes.scripted_api import Reply, ScriptedApi
from fixtures.http_api import Holdfast
from holdfast.cli.terminal.problems import MEANING, STATUS


@pytest.mark.parametrize(
    ("http", "status"),
    [(400, 7), (401, 4), (403, 5), (404, 6), (409, 8), (413, 7), (429, 9), (500, 10), (503, 10)],
)
def test_an_exit_status_per_error_class(
    holdfast: Holdfast, scripted: ScriptedApi, http: int, status: int
) -> None:
    details = {"body.name": "must not be empty"}
    scripted.error("GET", "/v1/projects/x", http, "a sentence", id="e1", details=details)
    ran = holdfast("project", "get", "x", "-o", "json")
    assert (ran.status, ran.out) == (status, "")
    assert ran.err == "error: a sentence (error id e1)\n  body.name: must not be empty\n"


def test_nobody_there_is_3(fresh_holdfast: Holdfast) -> None:
    ran = fresh_holdfast("about", "--host", "http://127.0.0.1:1", "--token", "t")
    assert ran.status == 3
    assert "http://127.0.0.1:1 cannot be reached" in ran.err


def test_not_logged_in_says_how(fresh_holdfast: Holdfast) -> None:
    ran = fresh_holdfast("about")
    assert ran.status == 4
    assert "holdfast login" in ran.err


def test_not_our_server_is_10(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.raw("GET", "/v1/about", Reply(200, b"<html>"))
    assert holdfast("about").status == 10


@pytest.mark.parametrize(
    "line",
    [
        ["nonsense"],
        ["backup", "nonsense"],
        ["backup", "get"],
        ["backup", "create", "--type", "tape"],
        ["backup", "list", "--limit", "0"],
        ["project", "get", "x", "-o", "xml"],
        ["project", "create", "--file", "/nonexistent/body.json"],
        ["addon", "delete", "--force"],
    ],
)
def test_wrong_usage_is_2_and_asks_nothing(
    holdfast: Holdfast, scripted: ScriptedApi, line: list[str]
) -> None:
    assert holdfast(*line).status == 2
    assert scripted.asked == []


def test_the_unexpected_is_a_line_not_a_traceback(
    holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("holdfast.client.api.Client.about", broken)
    ran = holdfast("about")
    assert (ran.status, ran.err) == (1, "error: RuntimeError: surprise\n")


def test_ctrl_c_is_130(holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("holdfast.client.api.Client.wait_for_backup", interrupted)
    ran = holdfast("backup", "wait", "b")
    assert ran.status == 130
    assert "goes on" in ran.err


def test_what_the_server_says_cannot_steer_the_terminal(
    holdfast: Holdfast, scripted: ScriptedApi
) -> None:
    scripted.error("GET", "/v1/projects/x", 404, "no \x1b[2Jsuch [red]project[/red]")
    ran = holdfast("project", "get", "x")
    assert "\x1b" not in ran.err
    assert "[red]project[/red]" in ran.err


def test_help_lists_every_exit_status(fresh_holdfast: Holdfast) -> None:
    ran = fresh_holdfast("--help")
    assert ran.status == 0
    assert set(STATUS.values()) <= set(MEANING)
    for status, meaning in MEANING.items():
        assert f" {status}  {meaning}" in ran.out


def test_completion_works_from_a_shell() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "_HOLDFAST_COMPLETE": "complete_bash",
        "COMP_WORDS": "holdfast back",
        "COMP_CWORD": "1",
    }
    command = [sys.executable, "-c", "from holdfast.cli.main import main; main()"]
    ran = subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout.split()) == (0, ["backup"])
