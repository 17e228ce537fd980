"""A mark in a directory, by which the store is known again: a mount that is missing has none.

Without it an empty directory of the root disk would be taken for the store: new backups would go
there, and all others would count as lost.
"""

import os
import secrets
from pathlib import Path

from holdfast.stores.local.errors import translated

MARK_FILE = ".holdfast-store"


def read_mark(root: Path) -> str | None:
    """None: there is none, or no such directory."""
    try:
        return (root / MARK_FILE).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_mark(root: Path) -> str:
    """The mark that is there from now on: a new one, or that of who was faster. Makes the directory
    when there is none."""
    with translated("marking", str(root)):
        return _make_mark(root)


def _make_mark(root: Path) -> str:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = root / f"{MARK_FILE}.{secrets.token_hex(6)}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secrets.token_hex(16)}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, root / MARK_FILE)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return read_mark(root) or ""


def holds_objects(root: Path) -> bool:
    """Is there anything but what we put there ourselves when it was made?"""
    try:
        names = [path.name for path in root.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(not name.startswith((".", "lost+found")) for name in names)
