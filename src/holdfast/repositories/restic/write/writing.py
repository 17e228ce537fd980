"""Writes a snapshot from a stream of files, in any order, in blocks that follow pages."""

import hashlib
import stat
from dataclasses import dataclass, field, replace

from holdfast.repositories.restic.format import tree
from holdfast.repositories.restic.format.pack import BlobType
from holdfast.repositories.restic.format.tree import Node
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.write.cutting import Cutter, Fixed
from holdfast.repositories.restic.write.packer import Packer


@dataclass
class _File:
    """Its blocks are named while others are read, in their order."""

    begun: Node
    size: int = 0
    content: list[str] = field(default_factory=list[str])

    def add(self, block: bytes) -> None:
        self.content.append(block.hex())

    def node(self) -> Node:
        return replace(self.begun, size=self.size, content=tuple(self.content))


@dataclass
class _Directory:
    begun: Node
    inside: dict[bytes, "_Entry"] = field(default_factory=dict[bytes, "_Entry"])


_Entry = _File | _Directory | Node


class FileWriter:
    """One file: bytes in any portions, cut into blocks."""

    def __init__(self, writer: "SnapshotWriter", path: bytes, node: Node, cutter: Cutter) -> None:
        self._writer = writer
        self._path = path
        self._file = _File(node)
        self._cutter = cutter
        self._pending = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """`data` stays as it is from now on: whole blocks are not copied."""
        if self._pending:
            self._pending += data
        self._cut(self._pending or data, last=False)

    def close(self) -> None:
        """All of the file was written: it has its place in the snapshot."""
        self._cut(self._pending, last=True)
        self._writer.place(self._path, self._file)

    def _cut(self, data: bytes | bytearray | memoryview, *, last: bool) -> None:
        view, done = memoryview(data), 0
        for length in self._cutter.lengths(view, last=last):
            block = view[done : done + length]
            self._writer.packer.save(BlobType.DATA, block, self._file.add)
            done += length
        if done or data is not self._pending:
            self._pending = bytearray(view[done:])
        self._file.size += done


class SnapshotWriter:
    """Blocks go into the repository as they come; the tree that makes files of them at the end."""

    def __init__(self, repository: Repository, block: int = 32 << 10) -> None:
        self._pages = Fixed(block)
        self.packer = Packer(repository.objects, repository.key, repository.index, ahead=True)
        self._root = _Directory(Node(b"", stat.S_IFDIR | 0o700, 0))
        self.files = self.size = 0

    def file(self, path: bytes, mode: int, mtime: int, cutter: Cutter | None = None) -> FileWriter:
        """`path` relative, `mode` without the type, `mtime` in ns. Cut as pages are by default."""
        name = path.rpartition(b"/")[2]
        node = Node(name, stat.S_IFREG | mode, mtime)
        return FileWriter(self, path, node, cutter or self._pages)

    def directory(self, path: bytes, mode: int, mtime: int) -> None:
        name = path.rpartition(b"/")[2]
        self.place(path, Node(name, stat.S_IFDIR | mode, mtime))

    def link(self, path: bytes, target: bytes, mtime: int) -> None:
        name = path.rpartition(b"/")[2]
        self.place(path, Node(name, stat.S_IFLNK | 0o777, mtime, target=target))

    def place(self, path: bytes, entry: _File | Node) -> None:
        node = entry.begun if isinstance(entry, _File) else entry
        above = self._root
        *parents, name = path.split(b"/")
        for part in parents:
            missing = _Directory(Node(part, stat.S_IFDIR | 0o700, node.mtime))
            found = above.inside.setdefault(part, missing)
            if not isinstance(found, _Directory):
                raise ValueError(f"{path!r} lies below a file")
            above = found
        held = above.inside.get(name)
        if node.is_directory:
            above.inside[name] = _Directory(
                node, held.inside if isinstance(held, _Directory) else {}
            )
        elif held is not None:
            raise ValueError(f"{path!r} was written twice")
        else:
            above.inside[name] = entry
            if isinstance(entry, _File):
                self.files += 1
                self.size += entry.size

    def flush(self) -> str:
        """Everything is stored and listed on return; what it returns names the tree of it."""
        self.packer.settle()
        root = self._save(self._root)
        self.packer.flush()
        return root

    def _save(self, directory: _Directory) -> str:
        body = tree.dumps([self._node(entry) for entry in directory.inside.values()])
        self.packer.save(BlobType.TREE, body, _known)
        return hashlib.sha256(body).hexdigest()

    def _node(self, entry: _Entry) -> Node:
        match entry:
            case _File():
                return entry.node()
            case _Directory():
                return entry.begun.within(self._save(entry))
            case Node():
                return entry


def _known(_: bytes) -> None:
    """For who cannot wait until he is told the name, and computes it himself."""
