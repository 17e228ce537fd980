"""Makes, opens, writes and reads one repository.

The snapshot object is written last. A writer that dies before leaves unreferenced packs, which
prune removes; stored objects are never changed.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import Failure, NotSupported, ObjectMissing, SealBroken
from holdfast.kit.seal import Secret
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
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.format.tree import Node
from holdfast.repositories.restic.read_ahead import ReadAhead

VERSION = 2

_POLYNOMIAL = "3da3358b4dc173"
"""Irreducible, as restic demands. It would cut only files that `restic` itself adds."""


@dataclass(frozen=True)
class KeyBackup:
    """Key and config, enough to open a repository whose own are damaged. A secret."""

    key: Key = field(repr=False)
    config: Document = field(repr=False)

    def dumps(self) -> str:
        return json.dumps({"key": self.key.document(), "config": self.config})

    @classmethod
    def parse(cls, text: str) -> "KeyBackup":
        """Inverts `dumps`."""
        document = json.loads(text)
        return cls(crypto.parse(document["key"]), document["config"])


class Repository:
    """An open repository with its index in memory.

    `packs` are those that the stored index names, with the bytes each must have at least.
    `damaged` are unreadable objects by (kind, name), with the problem. The headers of packs replace
    damaged index objects; a `KeyBackup` replaces damaged keys and a damaged config.
    """

    def __init__(self, objects: Objects, key: Key, config: Document | None = None) -> None:
        self.objects = objects
        self.config: Document = config if config is not None else {"version": VERSION}
        self.version: int = self.config["version"]
        self.key = key
        self.index = Index()
        self.packs: dict[str, int] = {}
        self._ignored = frozenset[str]()
        self.damaged: dict[tuple[str, str], str] = {}
        self._ahead = ReadAhead(lambda pack, start, end: objects.part("data", pack, start, end))
        self.reload()

    def require_writable(self) -> None:
        """Raises NotSupported for version 1, which has no compression and is only read."""
        if self.version != VERSION:
            prefix = self.objects.prefix
            raise NotSupported(f"repository {prefix} has version {self.version}, not {VERSION}")

    def reload(self) -> None:
        """Reads all index objects anew, and the headers of packs instead of damaged ones."""
        self.index, self.packs = Index(), {}
        self.damaged = {at: why for at, why in self.damaged.items() if at[0] != "index"}
        for pack, entries in self.known_packs([name for name, _ in self.objects.names("index")]):
            if pack not in self._ignored:
                self.index.add(pack, entries)
                self.packs[pack] = packs.size(entries)

    def ignore_packs(self, doomed: Iterable[str]) -> None:
        """Treats these packs as removed, for a writer while a prune may remove them."""
        if not self._ignored.issuperset(doomed):
            self._ignored |= frozenset(doomed)
            self.reload()

    def known_packs(self, names: Iterable[str]) -> Iterator[tuple[str, list[Entry]]]:
        """Yields every pack that these index objects name, with its blobs.

        If an index object is damaged, also packs that no other one names, by their own headers.
        """
        named = set[str]()
        for pack, entries in self.listing(names):
            named.add(pack)
            yield pack, entries
        if any(kind == "index" for kind, _ in self.damaged):
            yield from self.unlisted(named)

    def listing(self, names: Iterable[str]) -> Iterator[tuple[str, list[Entry]]]:
        """Yields every pack that these index objects name, with its blobs; notes damaged ones."""
        for name in names:
            try:
                entries_by_pack = list(indexes.parse(self.document("index", name)))
            except SealBroken as error:
                self.damaged["index", name] = error.message
            else:
                yield from entries_by_pack

    def unlisted(self, listed: Collection[str]) -> Iterator[tuple[str, list[Entry]]]:
        """Yields stored packs that are not `listed`, with the blobs that their own headers name.

        A pack whose header is damaged too is left out.
        """
        for pack, size in list(self.objects.names("data")):
            if pack in listed:
                continue
            with suppress(SealBroken, ObjectMissing):
                part = partial(self.objects.part, "data", pack)
                yield pack, packs.read_header(size, part, self.key)

    def document(self, kind: str, name: str) -> Document:
        return open_document(self.key, self.objects.get(kind, name))

    def snapshots(self) -> list[Snapshot]:
        """Returns all snapshots, oldest first."""
        snapshots = [self.snapshot(name) for name, _ in self.objects.names("snapshots")]
        return sorted(snapshots, key=lambda snapshot: snapshot.time)

    def readable_snapshots(self) -> tuple[list[Snapshot], dict[str, str]]:
        """Returns readable snapshots, oldest first, and the names of others with the problem.

        Raises ObjectMissing for one that is removed meanwhile.
        """
        readable, broken = list[Snapshot](), dict[str, str]()
        for name, _ in list(self.objects.names("snapshots")):
            try:
                readable.append(self.snapshot(name))
            except SealBroken as error:
                broken[name] = error.message
        return sorted(readable, key=lambda snapshot: snapshot.time), broken

    def snapshot(self, name: str) -> Snapshot:
        return Snapshot.parse(self.document("snapshots", name), name)

    def keep(self, snapshot: Snapshot) -> str:
        """Stores the object of a snapshot, whose blobs must all be stored; returns its id."""
        return self.objects.put("snapshots", seal_document(self.key, snapshot.document()))

    def forget(self, name: str) -> None:
        self.objects.delete("snapshots", name)

    def has_key_of(self, user: str) -> bool:
        """Tells whether a readable key file belongs to this user name."""
        return any(owner == user for _, owner in self._owners())

    def drop_keys_of(self, user: str, keep: str) -> None:
        """Deletes all key files of this user name but one."""
        for name, owner in list(self._owners()):
            if name != keep and owner == user:
                self.objects.delete("keys", name)

    def _owners(self) -> Iterator[tuple[str, str]]:
        """Yields readable key files with their user names."""
        for name, _ in list(self.objects.names("keys")):
            with suppress(SealBroken, ObjectMissing):
                yield name, keys.owner(self.objects.get("keys", name))

    def row(self, blob: bytes, kind: BlobType) -> int:
        """Returns the blob's row in the index. Raises ObjectMissing."""
        row = self.index.row(blob, kind)
        if row is None:
            raise ObjectMissing(f"no pack of the repository holds {kind.word} blob {blob.hex()}")
        return row

    def locate(self, blob: bytes, kind: BlobType) -> BlobLocation:
        """Returns the pack and position of a blob. Raises ObjectMissing when it is in no pack."""
        location = self.index.find(blob, kind)
        if location is None:
            raise ObjectMissing(f"no pack of the repository holds {kind.word} blob {blob.hex()}")
        return location

    def read(self, blob: str, kind: BlobType) -> bytes:
        """Returns one blob's plain bytes, verified by its id."""
        location = self.locate(bytes.fromhex(blob), kind)
        entry = location.entry
        sealed = self.part(location.pack, entry.offset, entry.offset + entry.stored)
        return self.plain(location, sealed)

    def part(self, pack: str, start: int, end: int) -> memoryview:
        """Returns stored bytes of a pack, with read-ahead. For one thread."""
        return self._ahead.part(pack, start, end, self.packs.get(pack, end))

    def plain(self, location: BlobLocation, sealed: bytes | memoryview) -> bytes:
        """Returns a sealed blob's plain bytes, verified by its id. Thread-safe."""
        data = self.key.open(sealed)
        if location.entry.plain:
            data = packs.unpacked(data, location.entry)
        _verify(data, location.entry)
        return data

    def plain_batch(
        self, parts: Sequence[tuple[BlobLocation, memoryview]]
    ) -> list[bytes | memoryview]:
        """Returns the plain bytes of many sealed blobs, as `plain` does of one. Thread-safe."""
        entries = [location.entry for location, _ in parts]
        plains = packs.unpacked_batch([self.key.open(sealed) for _, sealed in parts], entries)
        for data, entry in zip(plains, entries, strict=True):
            _verify(data, entry)
        return plains

    def nodes(self, subtree: str) -> list[Node]:
        return tree.parse(json.loads(self.read(subtree, BlobType.TREE)))

    def walk(self, subtree: str, above: bytes = b"") -> Iterator[tuple[bytes, Node]]:
        """Yields every node with its path, directories before their contents."""
        for node in self.nodes(subtree):
            path = above + b"/" + node.name if above else node.name
            yield path, node
            if node.is_directory:
                yield from self.walk(node.subtree, path)


def _verify(data: bytes | memoryview, entry: Entry) -> None:
    if hashlib.sha256(data).digest() != entry.id:
        raise SealBroken(f"blob {entry.id.hex()} is not what was written")


def ensure_repository(
    store: ObjectStore, prefix: str, password: Secret, now: int, spare: KeyBackup | None = None
) -> Repository:
    """Opens the repository, or makes it when there is none; `now` in ns since 1970.

    Its config is written last: keys without a config are left over from an interrupted creation,
    unless there are data that they open (then SealBroken without `spare`, because only the owner
    can know what happened).

    Prefix and password determine key and config: a worker that was paused while another made the
    repository changes nothing when it goes on. So nothing has to be removed, and keys left over,
    which open no config, are skipped by `open_repository`.
    """
    objects = Objects(store, prefix)
    used = any(objects.exists(f"{kind}/") for kind in ("data", "index", "snapshots"))
    if objects.exists("config") or (used and spare is not None):
        repository = open_repository(store, prefix, password, spare)
        repository.require_writable()
        return repository
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
    store: ObjectStore, prefix: str, password: Secret, spare: KeyBackup | None = None
) -> Repository:
    """Opens a repository; `spare` replaces damaged keys and a damaged config.

    Raises SealBroken when the password opens none of its keys, or its config cannot be read, and
    there is no `spare`.
    """
    objects, damaged = Objects(store, prefix), dict[tuple[str, str], str]()
    key = _unlocked(objects, password, damaged)
    if key is None:
        if spare is None or not _opens(objects, spare.key):
            raise SealBroken("the password opens no key of this repository")
        key = spare.key
        damaged["keys", ""] = "no key object can be opened with the password of the repository"
    config = _config(objects, key, spare, damaged)
    if config.get("version") not in (1, VERSION):
        raise SealBroken(f"unknown repository version {config.get('version')}")
    repository = Repository(objects, key, config)
    repository.damaged |= damaged
    return repository


def _unlocked(
    objects: Objects, password: Secret, damaged: dict[tuple[str, str], str]
) -> Key | None:
    """Returns the key in a key object that the password opens; of several, one for the config.

    The others are left over from an interrupted creation.
    """
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
    return next(
        (key for key in opened if _opens(objects, key, ["config"])), next(iter(opened), None)
    )


def _opens(
    objects: Objects, key: Key, kinds: Sequence[str] = ("config", "snapshots", "index")
) -> bool:
    """Tells whether this key opens any object, so that it is the key of this very repository."""
    for kind in kinds:
        names = [""] if kind == "config" else [name for name, _ in objects.names(kind)]
        for name in names:
            with suppress(SealBroken, ObjectMissing):
                key.open(objects.get(kind, name))
                return True
    return False


def _config(
    objects: Objects, key: Key, spare: KeyBackup | None, damaged: dict[tuple[str, str], str]
) -> Document:
    try:
        config = json.loads(key.open(objects.get("config", "")))
        if isinstance(config, dict):
            return config  # pyright: ignore[reportUnknownVariableType] - JSON object
        raise SealBroken("the config of the repository is no document")
    except (SealBroken, ObjectMissing, ValueError) as error:
        if spare is None:
            problem = error.message if isinstance(error, Failure) else str(error)
            raise SealBroken(f"the config of the repository cannot be read: {problem}") from error
        damaged["config", ""] = "the config is missing or not what was written"
        return spare.config


def restore_keys(repository: Repository, password: Secret, now: int) -> list[str]:
    """Rewrites a damaged config and key object, and sets damaged key objects aside.

    Returns a sentence for each repair. The caller holds the repository alone.
    """
    repairs = list[str]()
    objects, damaged = repository.objects, repository.damaged
    if ("config", "") in damaged:
        objects.put("config", repository.key.seal(go_json.dumps(repository.config)))
        repairs.append("the config was written anew")
    broken = [name for kind, name in damaged if kind == "keys"]
    if "" in broken:
        add_key(repository, password, "holdfast", now)
        repairs.append("a key object was written anew")
    for name in filter(None, broken):
        with suppress(ObjectMissing):
            objects.set_aside("keys", name)
            repairs.append(f"the damaged key object {name} was set aside")
    repository.damaged = {at: why for at, why in damaged.items() if at[0] == "index"}
    return repairs


def add_key(repository: Repository, password: Secret, user: str, now: int) -> str:
    """Adds a password that opens the repository; returns the name of its key file."""
    body = keys.key_file(repository.key, password, user, go_json.instant(now))
    return repository.objects.put("keys", body)
