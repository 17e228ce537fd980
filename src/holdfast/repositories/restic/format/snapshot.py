"""The object that makes a tree a snapshot, as `restic` reads and writes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from holdfast.repositories.restic.format import go_json
from holdfast.repositories.restic.format.objects import Document

_FOREIGN = ("uid", "gid", "excludes", "program_version", "summary")
"""Fields that `restic` writes in a snapshot object and a copy keeps."""


@dataclass(frozen=True)
class Snapshot:
    """`time` in ns since 1970. `id` is the sha256 of the stored object, empty before it is."""

    time: int
    tree: str
    host: str
    paths: Sequence[str]
    tags: Sequence[str]
    id: str = ""
    original: str = ""
    extra: Document = field(default_factory=dict[str, object])

    def as_copy(self) -> "Snapshot":
        """Returns the snapshot object for another repository, with the id of the original."""
        return replace(self, id="", original=self.original or self.id)

    def document(self) -> Document:
        document = {key: self.extra[key] for key in _FOREIGN if key in self.extra}
        document |= {
            "time": go_json.instant(self.time),
            "tree": self.tree,
            "paths": list(self.paths),
            "hostname": self.host,
            "username": self.extra.get("username", "holdfast"),
            "tags": list(self.tags),
        }
        if self.original:
            document["original"] = self.original
        return document

    @classmethod
    def parse(cls, document: Document, name: str) -> "Snapshot":
        """Inverts `document`; `name` is the object's."""
        return cls(
            time=go_json.parse_instant(document["time"]),
            tree=document["tree"],
            host=document.get("hostname", ""),
            paths=document.get("paths") or (),
            tags=document.get("tags") or (),
            id=name,
            original=document.get("original", ""),
            extra=document,
        )
