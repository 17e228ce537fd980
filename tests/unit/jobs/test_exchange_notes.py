"""What became of an exchange is told by the directories where a note was lost."""

from pathlib import Path

import pytest

from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.errors import RestoreDiffers
from holdfast.jobs.snapshots import data_directories
from holdfast.kit.seal import Secret
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.hosting.server_control import ServerControl


@pytest.fixture
def seat(tmp_path: Path) -> ServerControl:
    place = LocalServer(tmp_path / "data", 1, "15", "u", Secret(""), "d")
    return ServerControl(
        place, tmp_path, True, lambda: False, lambda: None, lambda: None,
        lambda tree: managed_servers.remove(None, tree),
    )  # fmt: skip


def serving(seat: ServerControl) -> Path:
    """Restored data serves, and one of its tablespaces lies in the restore's tree."""
    tree = seat.beside("op", 1)
    rows = tree / "tablespaces" / "16400"
    rows.mkdir(parents=True)
    (rows / "rows").write_text("live")
    links = seat.server.directory / "pg_tblspc"
    links.mkdir(parents=True)
    (links / "16400").symlink_to(rows)
    return tree


@pytest.mark.parametrize("note", ["", None], ids=["empty", "gone"])
@pytest.mark.parametrize("aside", ["gone", None], ids=["put aside", "removed"])
def test_a_settled_restore_goes_on(
    seat: ServerControl, note: str | None, aside: str | None
) -> None:
    tree = serving(seat)
    if aside is not None:
        (tree / aside).mkdir()
    if note is not None:
        (seat.home / "restored").write_text(note)
    assert data_directories.is_settled(seat, tree)
    data_directories.exchange(seat, tree, print)
    assert data_directories.undo(seat, tree) == "the restored server is in place"
    assert (tree / "tablespaces" / "16400" / "rows").read_text() == "live"
    assert (seat.home / "restored").read_text() == tree.name


def test_what_live_links_lead_to_outlives_an_undo(seat: ServerControl) -> None:
    """Even when everything else says that the tree is of no use."""
    tree = serving(seat)
    (tree / "failed").mkdir()
    assert not data_directories.is_settled(seat, tree)
    data_directories.undo(seat, tree)
    assert not (tree / "failed").exists()
    assert (tree / "tablespaces" / "16400" / "rows").exists()


@pytest.mark.parametrize("there", ["data", "before", "failed"])
def test_what_is_not_settled_is_not_taken_for_it(seat: ServerControl, there: str) -> None:
    seat.server.directory.mkdir()
    tree = seat.beside("op", 1)
    for name in (there, "gone"):
        (tree / name).mkdir(parents=True)
    assert not data_directories.is_settled(seat, tree)


def test_a_tree_that_was_never_put_in_place_is_none(seat: ServerControl) -> None:
    seat.server.directory.mkdir()
    tree = seat.beside("op", 1)
    tree.mkdir()
    assert not data_directories.is_settled(seat, tree)
    with pytest.raises(RestoreDiffers):
        data_directories.exchange(seat, tree, print)
    assert data_directories.undo(seat, tree) == "the addon is as it was"
    assert not tree.exists()
