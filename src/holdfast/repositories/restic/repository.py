"""One repository: made, opened, written to, read back.

The snapshot object is written last. A writer that dies before leaves packs nobody refers to, which
prune removes; what was there before is never changed.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import zstandard

from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import NotSupported, ObjectMissing, SealBroken
from holdfast.kit.seal import Secret
from holdfast.repositories.restic import gojson, keys, tree
from holdfast.repositories.restic import index as indexes
from holdfast.repositories.restic import pack as packs
from holdfast.repositories.restic.ahead import Ahead
from holdfast.repositories.restic.crypto import Key
from holdfast.repositories.restic.index import Index, Place
from holdfast.repositories.restic.objects import Document, Objects, open_document, seal_document
from holdfast.repositories.restic.pack import BlobType, Entry
from holdfast.repositories.restic.tree import Node

VERSION = 2

_POLYNOMIAL = "3da3358b4dc173"
"""Irreducible, as restic demands. Only files that the stock tool adds would be cut with it."""


_FOREIGN = ("uid", "gid", "excludes", "program_version", "summary")
"""What the stock tool says about a snapshot and a copy keeps."""


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
        document = {key: self.extra[key] for key in _FOREIGN if key in self.extra}
        document |= {
            "time": gojson.instant(self.time),
            "tree": self.tree,
            "paths": list(self.paths),
            "hostname": self.host,
            "username": self.extra.get("username", "holdfast"),
            "tags": list(self.tags),
        }
        if self.original:
            document["original"] = self.original
        return document


class Repository:
    """Open, with every blob's place known. `packs` are those that the stored index names, with
    the bytes each must have at least."""

    def __init__(self, objects: Objects, key: Key, version: int = VERSION) -> None:
        self.objects = objects
        self.version = version
        self.key = key
        self.index = Index()
        self.packs: dict[str, int] = {}
        self._passed_over = frozenset[str]()
        self._ahead = Ahead(lambda pack, start, end: objects.part("data", pack, start, end))
        self.reload()

    def require_writable(self) -> None:
        """NotSupported for version 1, which knows no compression; it is only read."""
        if self.version != VERSION:
            where = self.objects.prefix
            raise NotSupported(f"repository {where} has version {self.version}, not {VERSION}")

    def reload(self) -> None:
        """Reads all index objects anew."""
        self.index, self.packs = Index(), {}
        for pack, entries in self.listing():
            if pack not in self._passed_over:
                self.index.add(pack, entries)
                self.packs[pack] = packs.size(entries)

    def pass_over(self, doomed: Iterable[str]) -> None:
        """As if these packs were not there any more: for who writes while they may go."""
        if not self._passed_over.issuperset(doomed):
            self._passed_over |= frozenset(doomed)
            self.reload()

    def listing(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, list[Entry]]]:
        """Every pack that these (by default: all) index objects name, with its blobs."""
        if names is None:
            names = [name for name, _ in self.objects.names("index")]
        for name in names:
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

    def row(self, blob: bytes, kind: BlobType) -> int:
        """Its row in the index; ObjectMissing when it is in none."""
        row = self.index.row(blob, kind)
        if row is None:
            raise ObjectMissing(f"no pack of the repository holds {kind.word} blob {blob.hex()}")
        return row

    def place(self, blob: bytes, kind: BlobType) -> Place:
        """ObjectMissing when it is in no pack."""
        found = self.index.find(blob, kind)
        if found is None:
            raise ObjectMissing(f"no pack of the repository holds {kind.word} blob {blob.hex()}")
        return found

    def read(self, blob: str, kind: BlobType) -> bytes:
        """One blob's plain bytes, proven by its id."""
        place = self.place(bytes.fromhex(blob), kind)
        entry = place.entry
        sealed = self.part(place.pack, entry.offset, entry.offset + entry.stored)
        return self.plain(place, sealed)

    def part(self, pack: str, start: int, end: int) -> memoryview:
        """Stored bytes of a pack, for one thread that reads one after the other."""
        return self._ahead.part(pack, start, end, self.packs.get(pack, end))

    def plain(self, place: Place, sealed: bytes | memoryview) -> bytes:
        data = self.key.open(sealed)
        if place.entry.plain:
            data = _unpacked(data, place.entry)
        if hashlib.sha256(data).digest() != place.entry.id:
            raise SealBroken(f"blob {place.entry.id.hex()} is not what was written")
        return data

    def nodes(self, subtree: str) -> list[Node]:
        return tree.parse(json.loads(self.read(subtree, BlobType.TREE)))

    def walk(self, subtree: str, above: bytes = b"") -> Iterator[tuple[bytes, Node]]:
        """Every node with its path, directories before what is in them."""
        for node in self.nodes(subtree):
            path = above + b"/" + node.name if above else node.name
            yield path, node
            if node.is_directory:
                yield from self.walk(node.subtree, path)


def _unpacked(data: bytes, entry: Entry) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=entry.plain)
    except zstandard.ZstdError as error:
        raise SealBroken(f"blob {entry.id.hex()} is not what was written") from error


def ensure_repository(store: ObjectStore, prefix: str, password: Secret, now: int) -> Repository:
    """Opens the repository, or makes it when there is none; `now` in ns since 1970.

    Its config is written last: keys without one are those of a making that was cut off, unless
    there is something that they open (SealBroken: nobody but its owner can know what happened).

    Whoever makes it with this password makes the same: one that was paused meanwhile and goes on
    when another has made it long since changes nothing by it. So nothing has to be removed, and
    keys of an old making, which open no config, are passed over when it is opened.
    """
    objects = Objects(store, prefix)
    if objects.exists("config"):
        found = open_repository(store, prefix, password)
        found.require_writable()
        return found
    if any(objects.exists(f"{kind}/") for kind in ("data", "index", "snapshots")):
        raise SealBroken(f"the config of the repository {prefix} is gone; its keys are left alone")
    key = keys.first_key(password, prefix)
    objects.put("keys", keys.key_file(key, password, "holdfast", gojson.instant(now)))
    config = {
        "version": VERSION,
        "id": hashlib.sha256(f"{prefix} {password.reveal()}".encode()).hexdigest(),
        "chunker_polynomial": _POLYNOMIAL,
    }
    objects.put("config", key.seal(gojson.dumps(config)))
    return Repository(objects, key)


def open_repository(store: ObjectStore, prefix: str, password: Secret) -> Repository:
    """SealBroken when the password opens none of its keys."""
    objects, problem = Objects(store, prefix), "the password opens no key of this repository"
    for name, _ in objects.names("keys"):
        key = _unlocked(objects, name, password)
        config = _config(objects, key) if key is not None else None
        if key is not None and config is not None:
            if config["version"] not in (1, VERSION):
                raise SealBroken(f"unknown repository version {config['version']}")
            return Repository(objects, key, config["version"])
        if key is not None:
            problem = f"the config of the repository {prefix} is not what was written"
    raise SealBroken(problem)


def _unlocked(objects: Objects, name: str, password: Secret) -> Key | None:
    try:
        return keys.opened(objects.get("keys", name), password)
    except SealBroken:
        return None


def _config(objects: Objects, key: Key) -> Document | None:
    """None: it was sealed with another key."""
    try:
        return json.loads(key.open(objects.get("config", "")))
    except SealBroken:
        return None


def add_key(repository: Repository, password: Secret, who: str, now: int) -> str:
    """Another password that opens it; returns the name of its key file."""
    body = keys.key_file(repository.key, password, who, gojson.instant(now))
    return repository.objects.put("keys", body)
