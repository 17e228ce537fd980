"""Streams a snapshot as one tar, like `restic dump`."""

import os
import stat
import tarfile
from collections.abc import Iterator

from holdfast.domain.errors import NotSupported
from holdfast.repositories.restic.read.reading import blobs
from holdfast.repositories.restic.repository import Repository


def tar(repository: Repository, tree: str) -> Iterator[bytes]:
    """Yields the archive, directories before their contents; every block is verified by its id."""
    for path, node in repository.walk(tree):
        info = tarfile.TarInfo(os.fsdecode(path))
        if node.other or node.xattrs:
            kind = node.other or "file with extended attributes"
            raise NotSupported(f"{info.name} is a {kind}, which this archive cannot hold")
        info.mode = stat.S_IMODE(node.mode)
        info.mtime = node.mtime // 1_000_000_000
        if node.is_directory:
            info.type = tarfile.DIRTYPE
        elif node.is_file:
            info.size = node.size
        else:
            info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(node.target)
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if node.is_file:
            yield from blobs(repository, node.content)
            yield bytes(-node.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
