"""Stores the objects of a repository; the sha256 of the stored bytes is the name."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import zstandard

from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import EvidenceMissing, SealBroken
from holdfast.repositories.restic.format import go_json
from holdfast.repositories.restic.format.crypto import Key

_COMPRESSED = b"\x02"
_NAME = re.compile(r"[0-9a-f]{64}")
ASIDE = "damaged/"
"""Where damaged objects go once they are replaced; `restic` does not look there."""
_INSIDE = re.compile(
    rf"config|{ASIDE}.+|data/([0-9a-f]{{2}})/\1[0-9a-f]{{62}}|(index|keys|locks|snapshots)/[0-9a-f]{{64}}"
)
Document = dict[str, Any]


class Objects:
    """Puts and gets whole objects below a prefix (`snapshots/p/a/`, or empty)."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self.store = store
        self.prefix = prefix

    def key(self, kind: str, name: str) -> str:
        fan = f"{name[:2]}/" if kind == "data" else ""
        return f"{self.prefix}{kind}/{fan}{name}" if kind != "config" else f"{self.prefix}config"

    def put(self, kind: str, body: bytes) -> str:
        """Stores an object and returns its name. The store has to confirm its size."""
        name = hashlib.sha256(body).hexdigest()
        upload = self.store.begin(self.key(kind, name))
        try:
            upload.write(body)
            stat = upload.commit()
        except BaseException:
            upload.abort()
            raise
        if stat.size != len(body):
            self.delete(kind, name)  # half an index object would make the repository unreadable
            raise EvidenceMissing(f"{stat.key} has {stat.size} bytes, not {len(body)}")
        return name

    def get(self, kind: str, name: str) -> bytes:
        """Returns an object. Raises SealBroken when its bytes do not fit its name."""
        body = b"".join(self.store.get(self.key(kind, name)))
        if kind != "config" and hashlib.sha256(body).hexdigest() != name:
            raise SealBroken(f"{self.key(kind, name)} is not what was written")
        return body

    def stream(self, kind: str, name: str) -> Iterator[bytes]:
        """Returns the stored bytes, in chunks."""
        return self.store.get(self.key(kind, name))

    def part(self, kind: str, name: str, start: int, end: int) -> bytes:
        return b"".join(self.store.get(self.key(kind, name), start, end))

    def names(self, kind: str) -> Iterator[tuple[str, int]]:
        """Yields every object of a kind, with its size in bytes. Foreign files are left out."""
        for stat in self.store.list(f"{self.prefix}{kind}/"):
            name = stat.key.rpartition("/")[2]
            if _NAME.fullmatch(name) and stat.key == self.key(kind, name):
                yield name, stat.size

    def set_aside(self, kind: str, name: str) -> None:
        """Moves an unreadable object out of the repository's layout, with its bytes unchanged.

        Only for an object that is replaced, or needed no more.
        """
        key = self.key(kind, name)
        upload = self.store.begin(f"{self.prefix}{ASIDE}{kind}-{name}")
        try:
            for chunk in self.store.get(key):
                upload.write(chunk)
            upload.commit()
        except BaseException:
            upload.abort()
            raise
        self.store.delete(key)

    def delete(self, kind: str, name: str) -> None:
        self.store.delete(self.key(kind, name))

    def exists(self, kind: str) -> bool:
        return any(True for _ in self.store.list(f"{self.prefix}{kind}"))


def is_shaped(inside: str) -> bool:
    """Tells whether this key, below a repository's prefix, has the shape of one of its objects."""
    return _INSIDE.fullmatch(inside) is not None


def seal_document(key: Key, document: object) -> bytes:
    """Compresses and seals a document, as restic keeps index, snapshot and lock objects."""
    packed = zstandard.ZstdCompressor().compress(go_json.dumps(document))
    return key.seal(_COMPRESSED + packed)


def open_document(key: Key, sealed: bytes) -> Document:
    """Opens a document, which is uncompressed in repositories of version 1. Raises SealBroken."""
    plain = key.open(sealed)
    try:
        if plain[:1] == _COMPRESSED:
            plain = zstandard.ZstdDecompressor().decompressobj().decompress(plain[1:])
        document = json.loads(plain)
    except (zstandard.ZstdError, ValueError) as error:
        raise SealBroken("an object of the repository cannot be read") from error
    if not isinstance(document, dict):
        raise SealBroken("an object of the repository is not a document")
    return document  # pyright: ignore[reportUnknownVariableType] - JSON object
