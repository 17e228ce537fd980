"""Writes and reads trees: directories as restic stores them, each a sorted list of nodes."""

import base64
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.format import go_json

_GO_DIRECTORY, _GO_SYMLINK = 1 << 31, 1 << 27
_KINDS = {"dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "file": stat.S_IFREG}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


@dataclass(frozen=True)
class Node:
    """A file, directory or symbolic link. `mode` as `stat` has it; `mtime` in ns since 1970.

    Only in trees that `restic` wrote: `other` is the name of any other type (the mode then has no
    type), `xattrs` are extended attributes.
    """

    name: bytes
    mode: int
    mtime: int
    size: int = 0
    content: tuple[str, ...] = ()
    subtree: str = ""
    target: bytes = b""
    other: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    def within(self, subtree: str) -> "Node":
        return replace(self, subtree=subtree)

    def document(self) -> dict[str, Any]:
        """Returns the fields in the order in which Go writes them."""
        moment = go_json.instant(self.mtime)
        kind = "dir" if self.is_directory else "file" if self.is_file else "symlink"
        document: dict[str, Any] = {"name": go_json.quote(self.name), "type": kind}
        kinds = {stat.S_IFDIR: _GO_DIRECTORY, stat.S_IFLNK: _GO_SYMLINK, stat.S_IFREG: 0}
        mode = kinds[stat.S_IFMT(self.mode)] | stat.S_IMODE(self.mode) & 0o777
        mode |= sum(go for unix, go in _GO_BITS.items() if self.mode & unix)
        if mode:
            document["mode"] = mode
        document |= {"mtime": moment, "atime": moment, "ctime": moment, "uid": 0, "gid": 0}
        if self.size:
            document["size"] = self.size
        if self.is_file:
            document["links"] = 1
        if self.target:
            text = self.target.decode("utf-8", "surrogateescape")
            document["linktarget"] = text
            if self.target.decode("utf-8", "ignore").encode() != self.target:
                document["linktarget_raw"] = base64.b64encode(self.target).decode()
        document["content"] = list(self.content) if self.is_file else None
        if self.is_directory:
            document["subtree"] = self.subtree
        return document


def dumps(nodes: list[Node]) -> bytes:
    """Returns the stored form of a directory; the sha256 of this is its name."""
    ordered = sorted(nodes, key=lambda node: node.name)
    return go_json.dumps({"nodes": [node.document() for node in ordered]}) + b"\n"


def parse(document: Mapping[str, Any]) -> list[Node]:
    """Reads a directory. Raises SealBroken for a name that leads out of it, or is there twice."""
    nodes = [_parsed(node) for node in document["nodes"] or ()]
    names = {node.name for node in nodes}
    if len(names) < len(nodes) or names & {b"", b".", b".."}:
        raise SealBroken("a directory in the repository has impossible names")
    if any(b"/" in name or b"\0" in name for name in names):
        raise SealBroken("a name in the repository leads out of its directory")
    return nodes


def _parsed(node: Mapping[str, Any]) -> Node:
    kind = str(node["type"])
    if kind == "dir" and not node.get("subtree"):
        raise SealBroken(f"the directory {node['name']} of a snapshot has no contents")
    go_mode = node.get("mode", 0)
    extra = sum(unix for unix, bit in _GO_BITS.items() if go_mode & bit)
    target = str(node.get("linktarget", "")).encode()
    if "linktarget_raw" in node:
        target = base64.b64decode(node["linktarget_raw"])
    return Node(
        name=go_json.unquote(node["name"]),
        mode=_KINDS.get(kind, 0) | go_mode & 0o777 | extra,
        mtime=go_json.parse_instant(node.get("mtime", "1970-01-01T00:00:00Z")),
        size=node.get("size", 0),
        content=tuple(node.get("content") or ()),
        subtree=node.get("subtree") or "",
        target=target,
        other="" if kind in _KINDS else kind,
        xattrs=tuple(
            (str(attribute["name"]), base64.b64decode(attribute.get("value") or ""))
            for attribute in node.get("extended_attributes") or ()
        ),
    )
