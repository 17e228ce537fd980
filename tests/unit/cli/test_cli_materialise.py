"""`holdfast backup materialise`: what a server may write, and where."""

import io
import os
import tarfile
from pathlib import Path
from tarfile import FIFOTYPE, LNKTYPE, SYMTYPE

import pytest

from fakes.scripted_api import Reply, ScriptedApi
from fixtures.http_api import Holdfast

FILES = "/v1/projects/p/addons/a/backups/nightly/files"


def directory(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o777
    return info


def link(name: str, to: str, kind: bytes = SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def packed(*members: tarfile.TarInfo | str) -> Reply:
    """A word stands for a file of that name, with the name in it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isfile():
                info.mode, info.mtime, info.size = 0o4666, 1_700_000_000, len(info.name)
            tar.addfile(info, io.BytesIO(info.name.encode()))
    return Reply(200, archive.getvalue())


def test_the_files_lie_in_the_directory_and_the_steps_are_told(
    holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path
) -> None:
    steps = ["Stop the server.", "Start it."]
    finish = {
        "texts": {"data/map": "1 /here"},
        "appended": {"data/map": "2 /there"},
        "modes": {"data": "700"},
        "steps": steps,
    }
    scripted.data("GET", f"{FILES}/finish", finish)
    reply = packed(directory("data"), "data/table", link("data/other", "table"))
    scripted.raw("GET", FILES, reply)
    target = tmp_path / "it"
    ran = holdfast("backup", "materialise", "nightly", "--to", str(target))
    assert ran.status == 0, ran.err
    assert ran.err.endswith("1. Stop the server.\n2. Start it.\n")
    data, table = (target / "data").stat(), (target / "data" / "table").stat()
    assert (oct(data.st_mode), oct(table.st_mode)) == ("0o40700", "0o100644")
    assert (table.st_mtime, table.st_uid) == (1_700_000_000, os.geteuid())
    assert (target / "data" / "other").read_text() == "data/table"
    assert (target / "data" / "map").read_text() == "1 /here\n2 /there"


STRANGE = {
    "a name above": ["../out"],
    "an absolute name": ["/tmp/out"],
    "a link that leads out": [link("up", "..")],
    "a link that leads to another place": [link("etc", "/etc")],
    "a hard link": ["own", link("hard", "own", LNKTYPE)],
    "a pipe": [link("pipe", "", FIFOTYPE)],
}


@pytest.mark.parametrize("members", STRANGE.values(), ids=STRANGE)
def test_a_server_writes_nothing_but_files_inside(
    members: list[tarfile.TarInfo | str], holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path
) -> None:
    scripted.data("GET", f"{FILES}/finish", {})
    scripted.raw("GET", FILES, packed("first", *members))
    home = tmp_path / "home"
    ran = holdfast("backup", "materialise", "nightly", "--to", str(home / "it"))
    assert ran.status != 0
    assert list(home.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_server_finishes_nothing_but_files_inside(
    holdfast: Holdfast, scripted: ScriptedApi, tmp_path: Path
) -> None:
    scripted.data("GET", f"{FILES}/finish", {"texts": {"../out": "x"}})
    scripted.raw("GET", FILES, packed("first"))
    ran = holdfast("backup", "materialise", "nightly", "--to", str(tmp_path / "home" / "it"))
    assert "which is not ours" in ran.err
    assert list((tmp_path / "home").iterdir()) == []
