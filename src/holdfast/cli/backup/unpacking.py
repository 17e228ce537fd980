"""Unpacks a tar from a server into a directory and nowhere else.

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
    """Reads chunks as a file, once."""

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
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)


def unpack(chunks: Iterator[bytes], target: Path, moved: Callable[[], None]) -> None:
    """Writes the members of a tar, which a bad server may have made, below the directory only."""
    with tarfile.open(fileobj=_Stream(chunks), mode="r|") as tar:
        for member in tar:
            path = inside(target, member.name)
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
                path.chmod(0o600 | member.mode & 0o755)  # writable by no other user
                os.utime(path, (member.mtime, member.mtime))
            else:
                problem = f"{member.name} is no file, directory or symbolic link"
                raise ServerFault(Answer(200, problem))
            moved()


def inside(directory: Path, name: str) -> Path:
    """Returns a path below the directory, or raises; links that lead out are followed first."""
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise ServerFault(Answer(200, f"the server wants to change {name}, which is not ours"))
    return path
