"""Trees: directories as restic stores them, each a sorted list of nodes."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from holdfast.repositories.restic import gojson

_GO_DIRECTORY, _GO_SYMLINK = 1 << 31, 1 << 27
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


@dataclass(frozen=True)
class Node:
    """A file, directory or symbolic link. `mode` as `stat` has it; `mtime` in ns since 1970."""

    name: bytes
    mode: int
    mtime: int
    size: int = 0
    content: tuple[str, ...] = ()
    subtree: str = ""
    target: bytes = b""

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    def within(self, subtree: str) -> "Node":
        return replace(self, subtree=subtree)

    def document(self) -> dict[str, Any]:
        """Field by field in the order in which Go writes them."""
        moment = gojson.instant(self.mtime)
        document: dict[str, Any] = {"name": gojson.quote(self.name), "type": self._type()}
        mode = _go_mode(self.mode)
        if mode:
            document["mode"] = mode
        document |= {"mtime": moment, "atime": moment, "ctime": moment, "uid": 0, "gid": 0}
        if self.size:
            document["size"] = self.size
        if self.is_file:
            document["links"] = 1
        if self.target:
            document["linktarget"] = self.target.decode("utf-8", "replace")
        document["content"] = list(self.content) if self.is_file else None
        if self.is_directory:
            document["subtree"] = self.subtree
        return document

    def _type(self) -> str:
        if self.is_directory:
            return "dir"
        return "file" if self.is_file else "symlink"


def _go_mode(mode: int) -> int:
    kinds = {stat.S_IFDIR: _GO_DIRECTORY, stat.S_IFLNK: _GO_SYMLINK, stat.S_IFREG: 0}
    extra = sum(go for unix, go in _GO_BITS.items() if mode & unix)
    return kinds[stat.S_IFMT(mode)] | extra | stat.S_IMODE(mode) & 0o777


def _unix_mode(go: int, kind: str) -> int:
    kinds = {"dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "file": stat.S_IFREG}
    return kinds[kind] | go & 0o777 | sum(unix for unix, bit in _GO_BITS.items() if go & bit)


def dumps(nodes: list[Node]) -> bytes:
    """The stored form of a directory; its name is the sha256 of this."""
    ordered = sorted(nodes, key=lambda node: node.name)
    return gojson.dumps({"nodes": [node.document() for node in ordered]}) + b"\n"


def parse(document: Mapping[str, Any]) -> list[Node]:
    return [_parsed(node) for node in document["nodes"] or ()]


def _parsed(node: Mapping[str, Any]) -> Node:
    return Node(
        name=gojson.unquote(node["name"]),
        mode=_unix_mode(node.get("mode", 0), node["type"]),
        mtime=_nanoseconds(node.get("mtime", "1970-01-01T00:00:00Z")),
        size=node.get("size", 0),
        content=tuple(node.get("content") or ()),
        subtree=node.get("subtree") or "",
        target=str(node.get("linktarget", "")).encode(),
    )


def _nanoseconds(text: str) -> int:
    return gojson.parse_instant(text)
