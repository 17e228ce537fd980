"""Writes a snapshot from files in any order, in blocks that follow database pages."""

import hashlib
import stat
from dataclasses import dataclass, field, replace

from holdfast.repositories.restic.format import tree
from holdfast.repositories.restic.format.pack import BlobType
from holdfast.repositories.restic.format.tree import Node
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.write.cutting import Cutter, FixedCutter
from holdfast.repositories.restic.write.packer import Packer


@dataclass
class _File:
    """A file whose blocks get their names while further blocks are read, in order."""

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
    """Writes one file: cuts bytes that come in any portions into blocks."""

    def __init__(self, writer: "SnapshotWriter", path: bytes, node: Node, cutter: Cutter) -> None:
        self._writer = writer
        self._path = path
        self._file = _File(node)
        self._cutter = cutter
        self._pending = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """Adds bytes. The caller must not change `data` any more: whole blocks are not copied."""
        if self._pending:
            self._pending += data
        self._cut(self._pending or data, last=False)

    def close(self) -> None:
        """Ends the file and adds it to the snapshot."""
        self._cut(self._pending, last=True)
        self._writer.place(self._path, self._file)

    def _cut(self, data: bytes | bytearray | memoryview, *, last: bool) -> None:
        view, length_cut = memoryview(data), 0
        for length in self._cutter.lengths(view, last=last):
            block = view[length_cut : length_cut + length]
            self._writer.packer.save(BlobType.DATA, block, self._file.add)
            length_cut += length
        if length_cut or data is not self._pending:
            self._pending = bytearray(view[length_cut:])
        self._file.size += length_cut


class SnapshotWriter:
    """Stores blocks as they come, and the directories, which make files of them, at the end."""

    def __init__(self, repository: Repository, block: int = 32 << 10) -> None:
        self._pages = FixedCutter(block)
        self.packer = Packer(repository.objects, repository.key, repository.index, ahead=True)
        self._root = _Directory(Node(b"", stat.S_IFDIR | 0o700, 0))
        self.files = self.size = 0

    def file(self, path: bytes, mode: int, mtime: int, cutter: Cutter | None = None) -> FileWriter:
        """Begins a file. `path` is relative, `mode` without the type, `mtime` in ns.

        Without a `cutter` the file is cut at page boundaries.
        """
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
            child = above.inside.setdefault(part, missing)
            if not isinstance(child, _Directory):
                raise ValueError(f"{path!r} lies below a file")
            above = child
        existing = above.inside.get(name)
        if node.is_directory:
            above.inside[name] = _Directory(
                node, existing.inside if isinstance(existing, _Directory) else {}
            )
        elif existing is not None:
            raise ValueError(f"{path!r} was written twice")
        else:
            above.inside[name] = entry
            if isinstance(entry, _File):
                self.files += 1
                self.size += entry.size

    def flush(self) -> str:
        """Stores and lists everything; returns the id of the root directory."""
        self.packer.settle()
        root = self._save(self._root)
        self.packer.flush()
        return root

    def _save(self, directory: _Directory) -> str:
        nodes: list[Node] = []
        for entry in directory.inside.values():
            match entry:
                case _File():
                    nodes.append(entry.node())
                case _Directory():
                    nodes.append(entry.begun.within(self._save(entry)))
                case Node():
                    nodes.append(entry)
        body = tree.dumps(nodes)
        self.packer.save(BlobType.TREE, body, lambda _: None)  # we need the name at once
        return hashlib.sha256(body).hexdigest()
