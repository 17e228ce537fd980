"""Writes a snapshot from a stream of files, in any order, in blocks that follow pages."""

import stat
from dataclasses import dataclass, field

from holdfast.repositories.restic import tree
from holdfast.repositories.restic.cutting import Cutter, Fixed
from holdfast.repositories.restic.pack import BlobType
from holdfast.repositories.restic.packer import Packer
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.tree import Node


@dataclass
class _Directory:
    node: Node
    inside: dict[bytes, "Node | _Directory"] = field(
        default_factory=dict[bytes, "Node | _Directory"]
    )


class FileWriter:
    """One file: bytes in any portions, cut into blocks."""

    def __init__(self, writer: "SnapshotWriter", path: bytes, node: Node, cutter: Cutter) -> None:
        self._writer = writer
        self._path = path
        self._node = node
        self._cutter = cutter
        self._pending = bytearray()
        self._content: list[str] = []
        self._size = 0

    def write(self, data: bytes | memoryview) -> None:
        self._size += len(data)
        self._pending += data
        self._cut(last=False)

    def _cut(self, *, last: bool) -> None:
        done = 0
        with memoryview(self._pending) as view:
            for length in self._cutter.lengths(view, last=last):
                block = bytes(view[done : done + length])
                self._content.append(self._writer.packer.save(BlobType.DATA, block).hex())
                done += length
        del self._pending[:done]

    def close(self) -> None:
        self._cut(last=True)
        node = self._node
        done = Node(node.name, node.mode, node.mtime, self._size, tuple(self._content))
        self._writer.place(self._path, done)


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

    def place(self, path: bytes, node: Node) -> None:
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
            above.inside[name] = node
            self.files += node.is_file
            self.size += node.size

    def flush(self) -> str:
        """Everything is stored and listed on return; what it returns names the tree of it."""
        root = self._save(self._root)
        self.packer.flush()
        return root

    def _save(self, directory: _Directory) -> str:
        nodes = [
            each.node.within(self._save(each)) if isinstance(each, _Directory) else each
            for each in directory.inside.values()
        ]
        return self.packer.save(BlobType.TREE, tree.dumps(nodes)).hex()
