"""Says which files of this machine may be touched, and opens them.

An API caller names a path on the host, so only regular files below directories that the operator
allowed are opened, never through a symbolic link or `..`, and never our own.
"""

import sqlite3
import stat
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.connection_strings import invalid
from holdfast.engines.sqlite.client import file_handles
from holdfast.kit.seal import Secret

BUSY_SECONDS = 30.0


@dataclass(frozen=True)
class Fence:
    """Allows files below `roots`, but not below Holdfast's own directory `private`, of which only
    the files in `samples` are allowed."""

    roots: Sequence[Path] = ()
    private: Path | None = None
    samples: Path | None = None

    def path(self, address: Address) -> Path:
        """The path of an allowed file, checked on each call. AddonRefused says why not."""
        path = Path(address.database)
        climbs = ".." in path.parts
        if self.samples is not None and path.is_relative_to(self.samples) and not climbs:
            return _require_plain(path, self.samples)
        if not self.roots:
            raise AddonRefused(
                "this Holdfast touches no files: start it with --sqlite-roots DIR or set"
                " HOLDFAST_SQLITE_ROOTS to the directories it may back up from",
                reason="roots",
            )
        root = next((root for root in self.roots if path.is_relative_to(root)), None)
        if root is None or climbs:
            allowed = ", ".join(str(root) for root in self.roots)
            raise AddonRefused(f"{path} is not below {allowed}", reason="roots")
        if self.private is not None and path.resolve().is_relative_to(self.private.resolve()):
            raise AddonRefused(f"{path} belongs to Holdfast itself", reason="roots")
        return _require_plain(path, root)


def _require_plain(path: Path, root: Path) -> Path:
    """The path of a regular file that is reached from `root` through no symbolic link."""
    below = path.relative_to(root).parts
    for depth in range(1, len(below) + 1):
        current = root.joinpath(*below[:depth])
        try:
            mode = current.lstat().st_mode
        except OSError as error:
            raise AddonUnavailable(f"{current}: {error.strerror}") from error
        if stat.S_ISLNK(mode):
            raise AddonRefused(f"{current} is a symbolic link", reason="link")
        if not (stat.S_ISREG(mode) if current == path else stat.S_ISDIR(mode)):
            raise AddonRefused(f"{current} is not a regular file", reason="file")
    return path


def parse(connection_string: str) -> Address:
    """Parses `sqlite:///srv/app/data.db`; SQLAlchemy writes the same with four slashes."""
    parts = urlsplit(connection_string)
    path = unquote(parts.path)
    if path.startswith("//"):
        path = f"/{path.lstrip('/')}"
    if parts.scheme != "sqlite":
        raise invalid("must start with sqlite:///")
    if parts.netloc or parts.query or parts.fragment:
        raise invalid("must be sqlite:/// and an absolute path, and nothing else")
    if not path.startswith("/") or path.endswith("/") or not path.isprintable():
        raise invalid("names no absolute path of a file")
    if any(part in (".", "..") for part in path.split("/")):
        raise invalid("must not have . or .. in its path")
    return Address("", 0, "", Secret(""), str(Path(path)))


def uri(address: Address) -> str:
    return f"sqlite://{quote(address.database)}"


@contextmanager
def opened(path: Path, *, write: bool = False) -> Generator[sqlite3.Connection]:
    """Yields a session in autocommit, on the file that is there now, reached through no link.

    Raises AddonUnavailable or AddonRefused.
    """
    mode = "rw" if write else "ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=0,  # statements with a megabyte of rows never repeat
        )

    with translated(path):
        with file_handles.pinned(path) as file:
            connection = file_handles.connected(connect, file_handles.identity(file), path)
        with closing(connection):
            deny_unsafe_functions(connection)
            yield connection


UNSAFE_FUNCTIONS = frozenset(["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"])
"""Functions that reach beyond the file; a schema can call them."""


def deny_unsafe_functions(session: sqlite3.Connection) -> None:
    """Keeps the file's schema from calling unsafe functions in this session.

    `trusted_schema=OFF` would do so, too, but refuses JSON functions in indexes and computed
    columns: some versions of SQLite then call a file that has them malformed.
    """
    session.set_authorizer(_authorize)


def _authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
    del first
    unsafe = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in UNSAFE_FUNCTIONS
    return sqlite3.SQLITE_DENY if unsafe else sqlite3.SQLITE_OK


@contextmanager
def translated(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        busy = "locked" in str(error) or "busy" in str(error)
        kind = AddonUnavailable if busy or "unable to open" in str(error) else AddonRefused
        raise kind(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise AddonRefused(f"{path}: {error}", reason="file") from error
