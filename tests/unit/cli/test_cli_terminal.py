"""On a terminal: tables for eyes, questions that can be answered, progress that moves."""

import contextlib
import os
import pty
import subprocess
import sys
import threading
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ

import pytest

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import TOKEN

B = "/v1/projects/p/addons/a/backups"
LONG_ID = "a-very-long-identifier-" * 3 + "end"
PROGRAM = [sys.executable, "-c", "from holdfast.cli.main import main; main()"]


def _sit_at(screen: int, into: list[bytes], prompt: str, typed: str) -> None:
    """Reads the screen and types when the prompt shows.

    A terminal whose other end was closed raises instead of ending.
    """
    with contextlib.suppress(OSError):
        while chunk := os.read(screen, 65536):
            into.append(chunk)
            if typed and prompt.encode() in b"".join(into):
                os.write(screen, typed.encode())
                typed = ""


def on_a_terminal(
    api: ScriptedApi, home: Path, *line: str, prompt: str = "", typed: str = ""
) -> tuple[int, str]:
    screen, terminal = pty.openpty()
    ioctl(terminal, TIOCSWINSZ, pack("HHHH", 40, 100, 0, 0))
    environment = {
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
        "XDG_CONFIG_HOME": str(home),
        "HOLDFAST_HOST": api.url,
        **({} if "login" in line else {"HOLDFAST_TOKEN": TOKEN}),
        "HOLDFAST_PROJECT": "p",
        "HOLDFAST_ADDON": "a",
    }
    shown: list[bytes] = []
    reader = threading.Thread(target=_sit_at, args=(screen, shown, prompt, typed))
    reader.start()
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    child = subprocess.Popen([*PROGRAM, *line], **streams, env=environment, start_new_session=True)
    os.close(terminal)
    try:
        status = child.wait(30)
    finally:
        child.kill()
        child.wait()
        reader.join(10)
        os.close(screen)
    return status, b"".join(shown).decode()


def backup(status: str, **more: object) -> dict[str, object]:
    return {"id": LONG_ID, "status": status, "config": {"size": "2048"}, **more}


def test_identifiers_are_never_cut_or_folded(scripted: ScriptedApi, tmp_path: Path) -> None:
    scripted.data("GET", B, {"backups": [backup("completed")]})
    status, shown = on_a_terminal(scripted, tmp_path, "backup", "list")
    assert status == 0
    assert LONG_ID in shown
    assert "…" not in shown


@pytest.mark.parametrize(("typed", "deletes"), [("y\n", 1), ("n\n", 0), ("\n", 0)])
def test_a_deletion_can_be_confirmed_or_declined(
    scripted: ScriptedApi, tmp_path: Path, typed: str, deletes: int
) -> None:
    scripted.data("DELETE", f"{B}/b", {})
    line = ("backup", "delete", "b")
    status, shown = on_a_terminal(scripted, tmp_path, *line, prompt="[y/N]", typed=typed)
    assert status == 0
    assert "Delete the backup b of a?" in shown
    assert len(scripted.of("DELETE", f"{B}/b")) == deletes


def test_progress_moves_while_waiting(scripted: ScriptedApi, tmp_path: Path) -> None:
    progress = {"bytes": 1 << 20, "expected": 4 << 20, "step": "copy"}
    scripted.data("GET", f"{B}/b", backup("in-progress", progress=progress))
    scripted.data("GET", f"{B}/b", backup("completed"))
    status, shown = on_a_terminal(scripted, tmp_path, "backup", "wait", "b")
    assert status == 0
    assert "in-progress, copy" in shown
    assert "1.0/4.0 MiB" in shown


def test_a_secret_that_is_asked_for_does_not_show(scripted: ScriptedApi, tmp_path: Path) -> None:
    """The blank after the colon only comes once the terminal has stopped echoing."""
    scripted.data("GET", "/v1/login", {})
    line = ("login", "--host", scripted.url)
    status, shown = on_a_terminal(scripted, tmp_path, *line, prompt="Token: ", typed=f"{TOKEN}\n")
    assert (status, scripted.asked[-1].headers["authorization"]) == (0, f"Bearer {TOKEN}")
    assert "logged in" in shown
    assert TOKEN not in shown
