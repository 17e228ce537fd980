"""A snapshot as one tar, streamed: what the stock tool's `dump` gives, without the stock tool."""

import os
import stat
import tarfile
from collections.abc import Iterator

from holdfast.domain.errors import NotSupported
from holdfast.repositories.restic.format.tree import Node
from holdfast.repositories.restic.read.reading import blobs
from holdfast.repositories.restic.repository import Repository


def tar(repository: Repository, tree: str) -> Iterator[bytes]:
    """Directories before what is in them; every block proven by its id on the way."""
    for path, node in repository.walk(tree):
        yield _header(path, node)
        if node.is_file:
            yield from blobs(repository, node.content)
            yield bytes(-node.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(path: bytes, node: Node) -> bytes:
    info = tarfile.TarInfo(os.fsdecode(path))
    if node.other or node.xattrs:
        what = node.other or "file with extended attributes"
        raise NotSupported(f"{info.name} is a {what}, which this archive cannot hold")
    info.mode = stat.S_IMODE(node.mode)
    info.mtime = node.mtime // 1_000_000_000
    if node.is_directory:
        info.type = tarfile.DIRTYPE
    elif node.is_file:
        info.size = node.size
    else:
        info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(node.target)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
