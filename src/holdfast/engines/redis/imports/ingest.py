"""Makes a foreign RDB a snapshot; our reader and the stock checker read it to its end."""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.contracts.engine import Attempt
from holdfast.contracts.snapshots import Piece
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.foreign_formats import description_of
from holdfast.engines.redis.client.tools import REDIS, VALKEY, series
from holdfast.engines.redis.physical.checker import Checker, stock_checker
from holdfast.engines.redis.physical.rdb import RdbReader
from holdfast.engines.redis.physical.snapshot import data_piece, proven, rdb_piece
from holdfast.kit.processes.guard import Guard

_BEGINNINGS = (b"REDIS", b"VALKEY")
_VERSIONS = {VALKEY: "valkey-ver", REDIS: "redis-ver"}
_HEAD_BYTES = 16


class Ingested:
    """One file on its way; `facts` exist when `pieces` have been read to their end."""

    def __init__(self, plain: Iterator[bytes], checker: Checker, attempt: Attempt) -> None:
        self._plain = plain
        self._checker = checker
        self._attempt = attempt
        self.facts: Mapping[str, Any] = {}

    def pieces(self) -> Iterator[Piece]:
        yield data_piece()
        reader = RdbReader()
        try:
            yield rdb_piece(self._passing(reader))
            contents = reader.finish()
        finally:
            reader.close()
        total = sum(contents.keys.values())
        checked = self._checker.finish(total)
        if checked is None:
            self._attempt.say(
                f"no server that reads {contents.version} is installed here: the stock checker did"
                " not look at the file"
            )
        if not contents.checksum:
            self._attempt.say("the file was written without a checksum")
        flavour = VALKEY if _VERSIONS[VALKEY] in contents.aux else REDIS
        version = contents.aux.get(_VERSIONS[flavour], "0")
        self.facts = {
            **contents.facts(),
            "flavour": flavour,
            "version": version,
            "major": series(version),
            "users": None,
            "files": 1,
            "proven": proven(contents, total, checked),
        }

    def _passing(self, reader: RdbReader) -> Iterator[bytes]:
        head = b""
        while len(head) < _HEAD_BYTES and (chunk := next(self._plain, None)) is not None:
            head += chunk
        require_rdb(head)
        yield from self._feed(reader, head)
        for chunk in self._plain:
            yield from self._feed(reader, chunk)

    def _feed(self, reader: RdbReader, chunk: bytes) -> Iterator[bytes]:
        reader.feed(chunk)
        self._checker.feed(chunk)
        yield chunk


def require_rdb(head: bytes) -> None:
    """EvidenceMissing says what the file is instead, as far as its first bytes tell."""
    if not head.startswith(_BEGINNINGS):
        if re.match(rb"(?:#TS:\d|\*\d+\r\n\$\d)", head):
            description = (
                "an append-only file: commands of clients; let the server write an RDB (BGSAVE, or"
                " redis-cli --rdb FILE) and take that"
            )
        elif re.match(rb"file \S+ seq \d|file appendon", head):
            description = (
                "the manifest of an append-only file; take the RDB that it names as type b"
            )
        else:
            description = description_of(head)
        raise EvidenceMissing(f"the file is {description}; it has to be an RDB of Redis or Valkey")


@contextmanager
def ingested(
    tools_dir: Path, plain: Iterator[bytes], attempt: Attempt, guard: Guard
) -> Generator[Ingested]:
    with stock_checker(tools_dir, guard) as checker:
        yield Ingested(plain, checker, attempt)
