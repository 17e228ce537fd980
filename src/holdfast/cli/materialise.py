"""`holdfast backup materialise`: a snapshot's files as a data directory that a server starts from.

The directory appears whole or not at all. What has to be done with it is printed; nothing is done
to any server.
"""

import os
import shutil
import tarfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.backup_download import Id
from holdfast.cli.options import InAddon
from holdfast.cli.output import note
from holdfast.cli.progress import transferring
from holdfast.cli.session import Session
from holdfast.cli.verbs import verb

To = Annotated[
    Path, typer.Option("--to", metavar="DIR", help="A directory that does not exist yet.")
]


class _Stream(RawIOBase):
    """Chunks as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def materialise(session: Session, where: InAddon, backup: Id, to: To) -> None:
    """Write a snapshot's files to a directory of this machine and say how to start from it."""
    target = to.absolute()
    if target.exists():
        raise typer.BadParameter(f"{target} exists already", param_hint="--to")
    draft = target.with_name(f".{target.name}.part")
    with session.client() as client:
        project, addon = where.of(session)
        kind = client.addons.get(project, addon).spec.type
        with client.backups.files(project, addon, backup) as coming, _whole(draft, target):
            with transferring(backup, coming.expected) as progress:
                _unpack(coming.chunks(), draft, lambda: progress(coming.received))
            steps = _READY.get(kind, _nothing)(draft, target)
    session.printer.record({"directory": str(target)})
    for number, step in enumerate(steps, 1):
        note(f"{number}. {step}")


@contextmanager
def _whole(draft: Path, target: Path) -> Generator[None]:
    """The draft becomes the target when all went well, and is removed when not."""
    if draft.exists():
        shutil.rmtree(draft)  # of a run that was killed: nobody else names a directory so
    draft.mkdir(mode=0o700, parents=True)
    try:
        yield
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _unpack(chunks: Iterator[bytes], target: Path, moved: Callable[[], None]) -> None:
    """A server that says more than it should still writes nothing outside of the directory."""
    with tarfile.open(fileobj=_Stream(chunks), mode="r|") as tar:
        for member in tar:
            tar.extract(member, target, filter="data")
            moved()


def _postgresql(draft: Path, target: Path) -> list[str]:
    """Tablespaces live beside the data; recovery finds them by absolute paths."""
    data, spaces = draft / "data", draft / "tablespaces"
    if spaces.is_dir():
        lines = [f"{each.name} {target / 'tablespaces' / each.name}\n" for each in spaces.iterdir()]
        (data / "tablespace_map").write_text("".join(sorted(lines)))
    os.chmod(data, 0o700)  # noqa: PTH101 - the server refuses anything wider
    return [
        "Stop the server.",
        f"Give the files to its user: chown -R postgres: {target}",
        f"Make {target / 'data'} its data directory: move it there, or set data_directory.",
        "Settings outside the data directory (as Debian has them) stay as they are; look at"
        " postgresql.auto.conf in it, which came with the snapshot.",
        "Start the server: it recovers by itself from the WAL in pg_wal.",
    ]


def _redis(draft: Path, target: Path) -> list[str]:
    """One server may append to a log instead: then it never looks at the RDB."""
    os.chmod(draft / "data", 0o700)  # noqa: PTH101 - users' password digests are in it
    data = target / "data"
    return [
        f"Give the files to the server's user: chown -R redis: {target}",
        "Stop the server, and move its dump.rdb and appendonlydir out of its data directory.",
        f"Move {data / 'dump.rdb'} there, under the name that `dbfilename` has.",
        "Start it with `appendonly no`, whatever its configuration says: with `yes` it would start"
        " empty.",
        "Where it was `yes` before: CONFIG SET appendonly yes, wait until aof_rewrite_in_progress"
        " of INFO persistence is 0, then put `appendonly yes` back into the configuration.",
        f"Users and their rights are in {data / 'users.acl'}: the format of an `aclfile`.",
    ]


def _sqlite(draft: Path, target: Path) -> list[str]:  # noqa: ARG001 - all kinds look alike
    made = target / "data" / "database.db"
    return [
        f"The database is {made}: an ordinary file that sqlite3 opens.",
        "To put it in place of one that is in use: holdfast restore create, or"
        f" sqlite3 IN-USE.db '.restore {made}'.",
    ]


def _nothing(draft: Path, target: Path) -> list[str]:  # noqa: ARG001 - all kinds look alike
    return [f"The files of the snapshot are in {target}."]


_READY: Mapping[str, Callable[[Path, Path], list[str]]] = {
    "postgresql": _postgresql,
    "redis": _redis,
    "sqlite": _sqlite,
}


def register(app: typer.Typer) -> None:
    verb(
        app, "materialise", "holdfast backup materialise nightly -p shop -a orders --to ./restored"
    )(materialise)
