"""A tar that comes from a server, written into a directory and nowhere else.

`tarfile`'s own filters do the same, but Debian 12's Python 3.11.2 does not have them yet.
"""

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from io import RawIOBase
from pathlib import Path

from holdfast.client.transport.errors import Answer, ServerFault


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


def unpack(chunks: Iterator[bytes], target: Path, moved: Callable[[], None]) -> None:
    """A server that says more than it should still writes nothing outside of the directory."""
    with tarfile.open(fileobj=_Stream(chunks), mode="r|") as tar:
        for member in tar:
            _write(tar, member, inside(target, member.name), target)
            moved()


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, target: Path) -> None:
    """Owned by who unpacks it, and writable by nobody else."""
    if member.isdir():
        path.mkdir(exist_ok=True)
    elif member.issym():
        inside(target, str(path.parent / member.linkname))
        path.symlink_to(member.linkname)
    elif member.isfile():
        content = tar.extractfile(member)
        assert content is not None
        with content, path.open("xb") as file:
            shutil.copyfileobj(content, file)
        path.chmod(0o600 | member.mode & 0o755)
        os.utime(path, (member.mtime, member.mtime))
    else:
        raise ServerFault(Answer(200, f"{member.name} is no file, directory or symbolic link"))


def inside(directory: Path, name: str) -> Path:
    """The path of what may be changed; links that lead out of the directory are followed."""
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise ServerFault(Answer(200, f"the server wants to change {name}, which is not ours"))
    return path
