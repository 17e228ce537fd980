"""Where the pieces of an archive lie in a store: `docs/formats/archive.md` is for people.

The keys begin with what does not change while an addon lives, and end with names that the stock
server programs understand.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import fastcrc

from holdfast.catalog.schema import ArchiveLine, ArchivePiece
from holdfast.contracts.archive import FILE_SPAN, Following
from holdfast.contracts.store import ObjectStore, Stat
from holdfast.domain.errors import EvidenceMissing, ObjectMissing, SealBroken
from holdfast.kit.seal import Secret
from holdfast.pipeline import age

FORMAT = "holdfast-archive/1"
UNKNOWN_CRC = -1
"""Of an adopted piece: what was received is not known. age and zstd prove what was stored."""
_PIECE = re.compile(
    r"(?P<line>[0-9A-F]{8})(?P<high>[0-9A-F]{8})(?P<low>[0-9A-F]{8})"
    rf"(?:\.(?P<start>[0-9a-f]{{8}})-(?P<end>[0-9a-f]{{8}}))?{re.escape(age.SUFFIX)}"
)
_FILE_PIECE = re.compile(
    r"(?P<line>.+)\.(?P<file>\d{6,})\.(?P<start>[0-9a-f]{8})-(?P<end>[0-9a-f]{8}|end)"
    rf"(?P<part>\.part)?{re.escape(age.SUFFIX)}"
)
"""A piece of a binary log; `end`: the file ends with it."""


@dataclass(frozen=True)
class Layout:
    """The objects of one addon's archive. `prefix` ends with a slash."""

    store: ObjectStore
    prefix: str
    recipient: str
    identity: Secret
    engine: str
    version: str

    def put_root(self, root: str, following: Following) -> None:
        document = {
            "format": FORMAT,
            "engine": self.engine,
            "version": self.version,
            "source": following.source,
            "segmentBytes": following.segment,
        }
        self._put(f"{self.prefix}{root}/root.json", json.dumps(document, indent=1).encode())
        self.put_histories(root, following)

    def put_histories(self, root: str, following: Following) -> None:
        """Stored before anything of their line is."""
        for name, content in following.histories().items():
            self._put(f"{self.prefix}{root}/{name}.age", age.seal_plain(content, self.recipient))

    def put_piece(self, line: ArchiveLine, piece: ArchivePiece, sealed: bytes) -> None:
        self._put(self.key_of(line, piece), sealed)

    def remove_parts(self, line: ArchiveLine, start: int, end: int) -> None:
        """Removes the pieces of a segment that is stored whole."""
        segment = segment_name(line.name, start, line.segment)
        prefix = f"{self.prefix}{line.root}/{line.name}/{segment}."
        for stat in list(self.store.list(prefix)):
            first, last, is_whole = self.span_of(line, stat.key) or (start, end, True)
            if not is_whole and start <= first and last <= end:
                self.store.delete(stat.key)

    def key_of(self, line: ArchiveLine, piece: ArchivePiece) -> str:
        directory = f"{self.prefix}{line.root}/{line.name}/"
        segment = segment_name(line.name, piece.start, line.segment)
        offset = piece.start % line.segment
        until = f"{offset + piece.end - piece.start:08x}"
        if line.segment == FILE_SPAN:
            until = "end" if piece.end % FILE_SPAN == 0 else until
            part = "" if piece.whole else ".part"
            return f"{directory}{segment}.{offset:08x}-{until}{part}{age.SUFFIX}"
        if piece.whole:
            return f"{directory}{segment}{age.SUFFIX}"
        return f"{directory}{segment}.{offset:08x}-{until}{age.SUFFIX}"

    def opens(self, sealed: bytes, piece: ArchivePiece) -> bool:
        """Whether an object holds the bytes that were received."""
        try:
            self.open_piece(sealed, piece)
        except (SealBroken, EvidenceMissing):
            return False
        return True

    def open_piece(self, sealed: bytes, piece: ArchivePiece) -> bytes:
        """The plain bytes. SealBroken or EvidenceMissing unless they are those received."""
        plain = age.unseal(sealed, self.identity.reveal(), piece.size)
        if piece.crc != UNKNOWN_CRC and fastcrc.crc32.iscsi(plain) != piece.crc:
            raise EvidenceMissing("a piece of the log is not what was received")
        return plain

    def open_any(self, sealed: bytes) -> bytes:
        """The plain bytes of a piece that no row describes."""
        return age.unseal_any(sealed, self.identity.reveal())

    def objects(self, line: ArchiveLine) -> Iterator[Stat]:
        """Everything that lies under a line's name."""
        return self.store.list(f"{self.prefix}{line.root}/{line.name}/")

    def span_of(self, line: ArchiveLine, key: str) -> tuple[int, int, bool] | None:
        """Start and end of the piece with a key, and whether it is a whole segment; None: it is no
        piece of this line."""
        if line.segment == FILE_SPAN:
            match = _FILE_PIECE.fullmatch(key.rpartition("/")[2])
            if match is None or match["line"] != line.name:
                return None
            begin = int(match["file"]) * FILE_SPAN
            end = FILE_SPAN if match["end"] == "end" else int(match["end"], 16)
            return begin + int(match["start"], 16), begin + end, match["part"] is None
        match = _PIECE.fullmatch(key.rpartition("/")[2])
        if match is None or match["line"] != line.name:
            return None
        per_id = (1 << 32) // line.segment
        begin = (int(match["high"], 16) * per_id + int(match["low"], 16)) * line.segment
        if match["start"] is None:
            return begin, begin + line.segment, True
        return begin + int(match["start"], 16), begin + int(match["end"], 16), False

    def histories(self, root: str) -> Iterator[tuple[str, bytes]]:
        """The sealed history files of a root, by name."""
        for stat in self.store.list(f"{self.prefix}{root}/"):
            name = stat.key.rpartition("/")[2]
            if name.endswith(".history.age"):
                yield name.removesuffix(".age"), b"".join(self.store.get(stat.key))

    def put_names(self, line: ArchiveLine, document: bytes) -> None:
        """Stores what the numbers in the log of a line mean."""
        self._put(self._names_key(line), age.seal_plain(document, self.recipient))

    def names(self, line: ArchiveLine) -> bytes | None:
        """None: nothing was noted. SealBroken for damaged bytes."""
        try:
            sealed = b"".join(self.store.get(self._names_key(line)))
        except ObjectMissing:
            return None
        return age.unseal_plain(sealed, self.identity.reveal())

    def _names_key(self, line: ArchiveLine) -> str:
        return f"{self.prefix}{line.root}/{line.name}.names.age"

    def _put(self, key: str, body: bytes) -> None:
        upload = self.store.begin(key)
        try:
            upload.write(body)
            upload.commit()
        except BaseException:
            upload.abort()
            raise


def prefix_of(project: str, addon: str, uid: str) -> str:
    return f"archive/{project}/{addon}/{uid}/"


def segment_name(line: str, position: int, segment: int) -> str:
    """The name that the server gives to the segment of a position, or to its file."""
    number = position // segment
    if segment == FILE_SPAN:
        return f"{line}.{number:06d}"
    per_id = (1 << 32) // segment
    return f"{line}{number // per_id:08X}{number % per_id:08X}"
