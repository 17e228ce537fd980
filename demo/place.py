"""Where the demonstration keeps its data, and that there is room."""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_ROOM_FIXED = 2_500_000_000
"""Two servers keep up to a gigabyte of write-ahead log each."""


class NoPlace(Exception):
    """The message says why there is none, and what would help."""


@contextmanager
def place(wanted: Path | None, size: int, *, keep: bool) -> Generator[Path]:
    """A directory to work in. Without `keep` it is gone afterwards, whatever happens."""
    if keep or wanted is not None:
        home = _chosen(wanted or Path("demo-data"))
    else:
        home = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
        home.chmod(0o711)  # the database servers run as their own user and pass through
    try:
        _require_room(home, size)
        yield home
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


def _chosen(wanted: Path) -> Path:
    home = wanted.resolve()
    if home.exists() and any(home.iterdir()):
        raise NoPlace(
            f"{home} is there already, with data in it. If its server still runs, stop it; "
            f"then remove it (rm -r {home}) or choose another directory with --data-dir."
        )
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)
    closed = [each for each in home.parents if not each.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        raise NoPlace(
            f"{closed[0]} lets nobody but root pass, and PostgreSQL refuses to run as root. "
            "Choose another directory, such as --data-dir /var/tmp/holdfast-demo."
        )
    return home


def _require_room(home: Path, size: int) -> None:
    needed = _ROOM_FIXED + 5 * size
    free = shutil.disk_usage(home).free
    if free < needed:
        raise NoPlace(
            f"{home} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed. "
            "Choose a smaller --size or another --data-dir (TMPDIR moves the default)."
        )
