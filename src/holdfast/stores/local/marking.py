"""Marks a store's directory, so that a missing mount is noticed.

Without the mark an empty directory of the root disk would be taken for the store: new backups
would go there, and all others would count as lost.
"""

import os
import secrets
from pathlib import Path

from holdfast.kit import durable
from holdfast.stores.local.errors import translated

MARK_FILE = ".holdfast-store"


def read_mark(root: Path) -> str | None:
    """Returns the directory's mark; None without a mark or a directory."""
    try:
        return (root / MARK_FILE).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_mark(root: Path) -> str:
    """Marks the directory, which is made if missing, and returns its mark.

    That of another process stays when that process was faster.
    """
    with translated("marking", str(root)):
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
        durable.sync(root)
        return read_mark(root) or ""


def holds_objects(root: Path) -> bool:
    """Tells whether the directory has more in it than a new store or a new file system has."""
    try:
        names = [path.name for path in root.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(not name.startswith((".", "lost+found")) for name in names)
