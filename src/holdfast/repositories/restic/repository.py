"""One repository: made, opened, written to, read back.

The snapshot object is written last. A writer that dies before leaves packs nobody refers to, which
prune removes; what was there before is never changed.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import Failure, NotSupported, ObjectMissing, SealBroken
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.ahead import Ahead
from holdfast.repositories.restic.format import crypto, go_json, keys, tree
from holdfast.repositories.restic.format import index as indexes
from holdfast.repositories.restic.format import pack as packs
from holdfast.repositories.restic.format.crypto import Key
from holdfast.repositories.restic.format.index import BlobLocation, Index
from holdfast.repositories.restic.format.objects import (
    Document,
    Objects,
    open_document,
    seal_document,
)
from holdfast.repositories.restic.format.pack import BlobType, Entry
from holdfast.repositories.restic.format.tree import Node

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


@dataclass(frozen=True)
class Kept:
    """What is enough to open a repository whose key objects or config are damaged. A secret."""

    key: Key = field(repr=False)
    config: Document = field(repr=False)

    def dumps(self) -> str:
        return json.dumps({"key": self.key.document(), "config": self.config})

    @classmethod
    def parse(cls, text: str) -> "Kept":
        """The inverse of `dumps`."""
        found = json.loads(text)
        return cls(crypto.parse(found["key"]), found["config"])


class Repository:
    """Open, with every blob's place known. `packs` are those that the stored index names, with
    the bytes each must have at least.

    `damaged` are objects that could not be read, by (kind, name), with what is wrong. Those of the
    index are made up for by the headers of packs; keys and the config by what the caller keeps.
    """

    def __init__(self, objects: Objects, key: Key, config: Document | None = None) -> None:
        self.objects = objects
        self.config: Document = config if config is not None else {"version": VERSION}
        self.version: int = self.config["version"]
        self.key = key
        self.index = Index()
        self.packs: dict[str, int] = {}
        self._passed_over = frozenset[str]()
        self.damaged: dict[tuple[str, str], str] = {}
        self._ahead = Ahead(lambda pack, start, end: objects.part("data", pack, start, end))
        self.reload()

    def require_writable(self) -> None:
        """NotSupported for version 1, which knows no compression; it is only read."""
        if self.version != VERSION:
            where = self.objects.prefix
            raise NotSupported(f"repository {where} has version {self.version}, not {VERSION}")

    def reload(self) -> None:
        """Reads all index objects anew, and for those that are damaged the headers of packs."""
        self.index, self.packs = Index(), {}
        self.damaged = {each: why for each, why in self.damaged.items() if each[0] != "index"}
        for pack, entries in self.known_packs([name for name, _ in self.objects.names("index")]):
            if pack not in self._passed_over:
                self.index.add(pack, entries)
                self.packs[pack] = packs.size(entries)

    def pass_over(self, doomed: Iterable[str]) -> None:
        """As if these packs were not there any more: for who writes while they may go."""
        if not self._passed_over.issuperset(doomed):
            self._passed_over |= frozenset(doomed)
            self.reload()

    def known_packs(self, names: Iterable[str]) -> Iterator[tuple[str, list[Entry]]]:
        """Every pack that these index objects name, with its blobs. If one of them is damaged,
        also every pack that no other one names, as its own header says."""
        seen = set[str]()
        for pack, entries in self.listing(names):
            seen.add(pack)
            yield pack, entries
        if any(kind == "index" for kind, _ in self.damaged):
            yield from self.unlisted(seen)

    def listing(self, names: Iterable[str]) -> Iterator[tuple[str, list[Entry]]]:
        """Every pack that these index objects name, with its blobs. One that cannot be read is
        noted as damaged."""
        for name in names:
            try:
                found = list(indexes.parse(self.document("index", name)))
            except SealBroken as error:
                self.damaged["index", name] = error.message
            else:
                yield from found

    def unlisted(self, listed: Collection[str]) -> Iterator[tuple[str, list[Entry]]]:
        """Packs that are stored and not among those `listed`, with the blobs that their own headers
        name. One whose header is damaged too is as good as missing."""
        for pack, size in list(self.objects.names("data")):
            if pack in listed:
                continue
            with suppress(SealBroken, ObjectMissing):
                yield pack, packs.read_header(size, partial(self._stored, pack), self.key)

    def _stored(self, pack: str, start: int, end: int) -> bytes:
        return self.objects.part("data", pack, start, end)

    def document(self, kind: str, name: str) -> Document:
        return open_document(self.key, self.objects.get(kind, name))

    def snapshots(self) -> list[Snapshot]:
        """Oldest first."""
        found = [self.snapshot(name) for name, _ in self.objects.names("snapshots")]
        return sorted(found, key=lambda snapshot: snapshot.time)

    def readable_snapshots(self) -> tuple[list[Snapshot], dict[str, str]]:
        """Those that can be read, oldest first, and the names of the others with what is wrong.

        Raises ObjectMissing for one that goes meanwhile.
        """
        found, broken = list[Snapshot](), dict[str, str]()
        for name, _ in list(self.objects.names("snapshots")):
            try:
                found.append(self.snapshot(name))
            except SealBroken as error:
                broken[name] = error.message
        return sorted(found, key=lambda snapshot: snapshot.time), broken

    def snapshot(self, name: str) -> Snapshot:
        kept = self.document("snapshots", name)
        return Snapshot(
            time=go_json.parse_instant(kept["time"]),
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
        """Is there a key file that belongs to this user name, and can be read?"""
        return any(owner == who for _, owner in self._owners())

    def drop_keys_of(self, who: str, keep: str) -> None:
        """All key files of this user name but one."""
        for name, owner in list(self._owners()):
            if name != keep and owner == who:
                self.objects.delete("keys", name)

    def _owners(self) -> Iterator[tuple[str, str]]:
        """Key files that can be read, and whose they are."""
        for name, _ in list(self.objects.names("keys")):
            with suppress(SealBroken, ObjectMissing):
                yield name, keys.owner(self.objects.get("keys", name))

    def row(self, blob: bytes, kind: BlobType) -> int:
        """Its row in the index; ObjectMissing when it is in none."""
        row = self.index.row(blob, kind)
        if row is None:
            raise ObjectMissing(f"no pack of the repository holds {kind.word} blob {blob.hex()}")
        return row

    def place(self, blob: bytes, kind: BlobType) -> BlobLocation:
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

    def plain(self, place: BlobLocation, sealed: bytes | memoryview) -> bytes:
        """Proven by its id. Several threads may ask at once."""
        data = self.key.open(sealed)
        if place.entry.plain:
            data = packs.unpacked(data, place.entry)
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


def ensure_repository(
    store: ObjectStore, prefix: str, password: Secret, now: int, kept: Kept | None = None
) -> Repository:
    """Opens the repository, or makes it when there is none; `now` in ns since 1970.

    Its config is written last: keys without one are those of a making that was cut off, unless
    there is something that they open (SealBroken without `kept`: nobody but its owner can know
    what happened).

    Whoever makes it with this password makes the same: one that was paused meanwhile and goes on
    when another has made it long since changes nothing by it. So nothing has to be removed, and
    keys of an old making, which open no config, are passed over when it is opened.
    """
    objects = Objects(store, prefix)
    used = any(objects.exists(f"{kind}/") for kind in ("data", "index", "snapshots"))
    if objects.exists("config") or (used and kept is not None):
        found = open_repository(store, prefix, password, kept)
        found.require_writable()
        return found
    if used:
        raise SealBroken(f"the config of the repository {prefix} is gone; its keys are left alone")
    key = keys.first_key(password, prefix)
    objects.put("keys", keys.key_file(key, password, "holdfast", go_json.instant(now)))
    config: Document = {
        "version": VERSION,
        "id": hashlib.sha256(f"{prefix} {password.reveal()}".encode()).hexdigest(),
        "chunker_polynomial": _POLYNOMIAL,
    }
    objects.put("config", key.seal(go_json.dumps(config)))
    return Repository(objects, key, config)


def open_repository(
    store: ObjectStore, prefix: str, password: Secret, kept: Kept | None = None
) -> Repository:
    """SealBroken when the password opens none of its keys, or its config cannot be read, and
    nothing is `kept` that makes up for it."""
    objects, damaged = Objects(store, prefix), dict[tuple[str, str], str]()
    key = _unlocked(objects, password, damaged)
    if key is None:
        if kept is None or not _opens(objects, kept.key):
            raise SealBroken("the password opens no key of this repository")
        key = kept.key
        damaged["keys", ""] = "no key object can be opened with the password of the repository"
    config = _config(objects, key, kept, damaged)
    if config.get("version") not in (1, VERSION):
        raise SealBroken(f"unknown repository version {config.get('version')}")
    repository = Repository(objects, key, config)
    repository.damaged |= damaged
    return repository


def _unlocked(
    objects: Objects, password: Secret, damaged: dict[tuple[str, str], str]
) -> Key | None:
    """The key, by a key object that the password opens, and of several one that opens the config:
    others are of a making that was cut off."""
    opened: list[Key] = []
    for name, _ in list(objects.names("keys")):
        try:
            body = objects.get("keys", name)
        except SealBroken as error:
            damaged["keys", name] = error.message
        except ObjectMissing:
            continue
        else:
            with suppress(SealBroken):
                opened.append(keys.opened(body, password))
    return next((key for key in opened if _opens_config(objects, key)), next(iter(opened), None))


def _opens_config(objects: Objects, key: Key) -> bool:
    try:
        key.open(objects.get("config", ""))
    except (SealBroken, ObjectMissing):
        return False
    return True


def _opens(objects: Objects, key: Key) -> bool:
    """Is this the repository's own key? Whoever put another one in its place has another key."""
    for kind in ("config", "snapshots", "index"):
        names = [""] if kind == "config" else [name for name, _ in objects.names(kind)]
        for name in names:
            with suppress(SealBroken, ObjectMissing):
                key.open(objects.get(kind, name))
                return True
    return False


def _config(
    objects: Objects, key: Key, kept: Kept | None, damaged: dict[tuple[str, str], str]
) -> Document:
    try:
        found = json.loads(key.open(objects.get("config", "")))
        if isinstance(found, dict):
            return found  # pyright: ignore[reportUnknownVariableType] - JSON object
        raise SealBroken("the config of the repository is no document")
    except (SealBroken, ObjectMissing, ValueError) as error:
        if kept is None:
            why = error.message if isinstance(error, Failure) else str(error)
            raise SealBroken(f"the config of the repository cannot be read: {why}") from error
        damaged["config", ""] = "the config is missing or not what was written"
        return kept.config


def restore_keys(repository: Repository, password: Secret, now: int) -> list[str]:
    """Writes the config and our key object anew where they are damaged, and puts damaged key
    objects aside. Returns what was done, as sentences. Nobody else may write meanwhile."""
    done = list[str]()
    objects, damaged = repository.objects, repository.damaged
    if ("config", "") in damaged:
        objects.put("config", repository.key.seal(go_json.dumps(repository.config)))
        done.append("the config was written anew")
    broken = [name for kind, name in damaged if kind == "keys"]
    if "" in broken:
        add_key(repository, password, "holdfast", now)
        done.append("a key object was written anew")
    for name in filter(None, broken):
        with suppress(ObjectMissing):
            objects.set_aside("keys", name)
            done.append(f"the damaged key object {name} was set aside")
    repository.damaged = {each: why for each, why in damaged.items() if each[0] == "index"}
    return done


def add_key(repository: Repository, password: Secret, who: str, now: int) -> str:
    """Another password that opens it; returns the name of its key file."""
    body = keys.key_file(repository.key, password, who, go_json.instant(now))
    return repository.objects.put("keys", body)
