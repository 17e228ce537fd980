"""One repository: made, opened, written to, read back.

The snapshot object is written last. A writer that dies before leaves packs nobody refers to, which
prune removes; what was there before is never changed.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import zstandard

from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.kit.seal import Secret
from holdfast.repositories.restic import crypto, gojson, keys, tree
from holdfast.repositories.restic import index as indexes
from holdfast.repositories.restic.crypto import Key
from holdfast.repositories.restic.index import Index, Place
from holdfast.repositories.restic.objects import Document, Objects, open_document, seal_document
from holdfast.repositories.restic.pack import Entry
from holdfast.repositories.restic.tree import Node

VERSION = 2

_POLYNOMIAL = "3da3358b4dc173"
"""Irreducible, as restic demands. Only files that the stock tool adds would be cut with it."""


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
        """The same, for another repository: it remembers where it came from."""
        return replace(self, id="", original=self.original or self.id)

    def document(self) -> Document:
        document: Document = {
            "time": gojson.instant(self.time),
            "tree": self.tree,
            "paths": list(self.paths),
            "hostname": self.host,
            "username": "holdfast",
            "tags": list(self.tags),
        }
        if self.original:
            document["original"] = self.original
        return document


class Repository:
    """Open, with every blob's place known."""

    def __init__(self, objects: Objects, key: Key) -> None:
        self.objects = objects
        self.key = key
        self.index = Index()
        self.reload()

    def reload(self) -> None:
        """Reads all index objects anew."""
        self.index = Index()
        for pack, entries in self.listing():
            self.index.add(pack, entries)

    def listing(self) -> Iterator[tuple[str, list[Entry]]]:
        """Every pack that an index object names, with all its blobs."""
        for name, _ in self.objects.names("index"):
            yield from indexes.parse(self.document("index", name))

    def document(self, kind: str, name: str) -> Document:
        return open_document(self.key, self.objects.get(kind, name))

    def snapshots(self) -> list[Snapshot]:
        """Oldest first."""
        found = [self.snapshot(name) for name, _ in self.objects.names("snapshots")]
        return sorted(found, key=lambda snapshot: snapshot.time)

    def snapshot(self, name: str) -> Snapshot:
        kept = self.document("snapshots", name)
        return Snapshot(
            time=gojson.parse_instant(kept["time"]),
            tree=kept["tree"],
            host=kept.get("hostname", ""),
            paths=kept.get("paths") or (),
            tags=kept.get("tags") or (),
            id=name,
            original=kept.get("original", ""),
            extra=kept,
        )

    def keep(self, snapshot: Snapshot) -> str:
        """Makes a tree whose blobs are all stored a snapshot; returns its id."""
        return self.objects.put("snapshots", seal_document(self.key, snapshot.document()))

    def forget(self, name: str) -> None:
        self.objects.delete("snapshots", name)

    def has_key_of(self, who: str) -> bool:
        """Is there a key file that belongs to this user name?"""
        names = [name for name, _ in self.objects.names("keys")]
        return any(keys.owner(self.objects.get("keys", name)) == who for name in names)

    def drop_keys_of(self, who: str, keep: str) -> None:
        """All key files of this user name but one."""
        for name in [name for name, _ in self.objects.names("keys")]:
            if name != keep and keys.owner(self.objects.get("keys", name)) == who:
                self.objects.delete("keys", name)

    def read(self, blob: str) -> bytes:
        """One blob's plain bytes, proven by its id."""
        raw = bytes.fromhex(blob)
        place = self.index.find(raw)
        if place is None:
            raise ObjectMissing(f"no pack of the repository holds blob {blob}")
        entry = place.entry
        sealed = self.objects.part("data", place.pack, entry.offset, entry.offset + entry.stored)
        return self.plain(place, sealed)

    def plain(self, place: Place, sealed: bytes | memoryview) -> bytes:
        data = self.key.open(sealed)
        if place.entry.plain:
            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=place.entry.plain)
        if hashlib.sha256(data).digest() != place.entry.id:
            raise SealBroken(f"blob {place.entry.id.hex()} is not what was written")
        return data

    def nodes(self, subtree: str) -> list[Node]:
        return tree.parse(json.loads(self.read(subtree)))

    def walk(self, subtree: str, above: bytes = b"") -> Iterator[tuple[bytes, Node]]:
        """Every node with its path, directories before what is in them."""
        for node in self.nodes(subtree):
            path = above + b"/" + node.name if above else node.name
            yield path, node
            if node.is_directory:
                yield from self.walk(node.subtree, path)


def ensure_repository(store: ObjectStore, prefix: str, password: Secret, now: int) -> Repository:
    """Opens the repository, or makes it when there is none; `now` in ns since 1970.

    Its config is written last: keys without one are those of a making that was cut off.
    """
    objects = Objects(store, prefix)
    if objects.exists("config"):
        return open_repository(store, prefix, password)
    for name, _ in list(objects.names("keys")):
        objects.delete("keys", name)
    key = crypto.new_key()
    objects.put("keys", keys.key_file(key, password, "holdfast", gojson.instant(now)))
    config = {
        "version": VERSION,
        "id": secrets.token_hex(32),
        "chunker_polynomial": _POLYNOMIAL,
    }
    objects.put("config", key.seal(gojson.dumps(config)))
    return Repository(objects, key)


def open_repository(store: ObjectStore, prefix: str, password: Secret) -> Repository:
    """SealBroken when the password opens none of its keys."""
    objects = Objects(store, prefix)
    for name, _ in objects.names("keys"):
        key = _unlocked(objects, name, password)
        if key is not None:
            config = json.loads(key.open(objects.get("config", "")))
            if config["version"] not in (1, VERSION):
                raise SealBroken(f"unknown repository version {config['version']}")
            return Repository(objects, key)
    raise SealBroken("the password opens no key of this repository")


def _unlocked(objects: Objects, name: str, password: Secret) -> Key | None:
    try:
        return keys.opened(objects.get("keys", name), password)
    except SealBroken:
        return None


def add_key(repository: Repository, password: Secret, who: str, now: int) -> str:
    """Another password that opens it; returns the name of its key file."""
    body = keys.key_file(repository.key, password, who, gojson.instant(now))
    return repository.objects.put("keys", body)
