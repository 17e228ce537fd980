"""Takes a snapshot of a running server: its RDB over the replication protocol, and its users.

The server forks; the RDB holds all databases and functions as of that instant, whatever the
settings for persistence. While it passes into the repository its checksum and structure are
verified, and the stock checker reads it too.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.contracts.engine import Address, Attempt
from holdfast.contracts.snapshots import Cut, Piece
from holdfast.engines.redis.client import acl, probe
from holdfast.engines.redis.client.address import client
from holdfast.engines.redis.client.replication import Replication, replication
from holdfast.engines.redis.physical.checker import Checker, stock_checker
from holdfast.engines.redis.physical.rdb import Contents, RdbReader
from holdfast.kit.processes.guard import Guard
from holdfast.kit.rate_limit import Pace

DATA, RDB = "data", "dump.rdb"


class Capture:
    """One RDB on its way; `facts` exist when `pieces` have been read to their end."""

    def __init__(
        self,
        session: Replication,
        checker: Checker,
        pace: Pace,
        attempt: Attempt,
        server_facts: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._checker = checker
        self._pace = pace
        self._attempt = attempt
        self._server_facts = server_facts
        self.facts: Mapping[str, Any] = {}

    def pieces(self) -> Iterator[Piece]:
        start = self._session.begin(self._server_facts["version"])
        self._attempt.say(f"the server sends its data as of offset {start.offset}")
        users: Sequence[str] | None = self._server_facts["users"]
        yield data_piece()
        if users is not None:
            body = "".join(f"{line}\n" for line in users).encode()
            yield _file(acl.FILE, iter([body]))
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
                f"no server that reads {contents.version} is installed here, so its stock checker"
                " did not look at the RDB; Holdfast's own reading found nothing wrong"
            )
        self.facts = {
            **contents.facts(),
            "flavour": self._server_facts["flavour"],
            "major": self._server_facts["major"],
            "replid": start.replid,
            "offset": start.offset,
            "diskless": start.diskless,
            "users": None if users is None else len(users),
            "files": 1 if users is None else 2,
            "proven": proven(contents, total, checked),
        }

    def _passing(self, reader: RdbReader) -> Iterator[bytes]:
        for chunk in self._session.rdb(self._pace.portion):
            reader.feed(chunk)
            self._checker.feed(chunk)
            self._pace.moved(len(chunk))
            yield chunk


def proven(contents: Contents, total: int, checked: str | None) -> Mapping[str, str]:
    proven = {"RDB structure": f"{contents.version}, {total} keys, whole to its last byte"}
    if contents.checksum:
        proven["RDB checksum"] = f"CRC-64 {contents.checksum}"
    if checked is not None:
        proven["stock checker"] = checked
    return proven


def data_piece() -> Piece:
    return Piece(DATA, 0o700, 0, directory=True, target="", cut=Cut.WHOLE, chunks=iter(()))


def rdb_piece(chunks: Iterator[bytes]) -> Piece:
    return _file(RDB, chunks)


def _file(name: str, chunks: Iterator[bytes]) -> Piece:
    return Piece(
        f"{DATA}/{name}", 0o600, 0, directory=False, target="", cut=Cut.CONTENT, chunks=chunks
    )


@contextmanager
def capture(
    tools_dir: Path, address: Address, attempt: Attempt, guard: Guard, rate: int | None
) -> Generator[Capture]:
    server_facts = _server_facts(address, attempt)
    with (
        replication(address, guard) as session,
        stock_checker(tools_dir, guard) as checker,
    ):
        session.require_rights()
        yield Capture(session, checker, Pace(rate, guard.wait), attempt, server_facts)


def _server_facts(address: Address, attempt: Attempt) -> Mapping[str, Any]:
    with client(address) as session:
        info = probe.server_info(session)
        users = acl.list_users(session)
    if users is None:
        attempt.say(
            f"user {address.user} lacks +acl|list, so users and rights are not in the snapshot"
        )
    if probe.cluster(info):
        attempt.say("the server is a node of a cluster: only its own slots are in the snapshot")
    version = probe.running_version(info)
    major = probe.series(version)
    return {"version": version, "major": major, "flavour": probe.flavour(info), "users": users}
