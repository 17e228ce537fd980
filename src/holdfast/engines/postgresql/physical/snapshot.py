"""Takes a physical copy of a running server, by streaming base backup.

The WAL that makes it consistent comes with it; a temporary slot keeps the server from removing
that WAL meanwhile. The server's own manifest arrives last, and every file that passed is compared
with it. The server reports damaged pages in its very last message, so nothing counts before that
message was read.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from holdfast.contracts.engine import WARNINGS, Address, Attempt
from holdfast.contracts.snapshots import LOG_POSITION, Cut, Piece
from holdfast.domain.errors import AddonRefused, AddonUnavailable, EvidenceMissing, NotSupported
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import connect, through_socket
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.dump import warnings
from holdfast.engines.postgresql.physical.backup_manifest import (
    BackupManifest,
    ReceivedFiles,
    algorithm,
)
from holdfast.engines.postgresql.physical.copy_stream import CopyStream
from holdfast.engines.postgresql.physical.replication import Replication, replication
from holdfast.engines.postgresql.physical.tar_stream import TarEntry, TarStream
from holdfast.kit.processes.guard import Guard

DATA, SPACES = "data", "tablespaces"
MANIFEST = "backup_manifest"

_ONE_COPY_SINCE = 15  # since this version all archives come in one COPY
Chunks = Iterator[bytes | memoryview]


class Capture:
    """One base backup in progress: read `pieces` to their end, then there are `facts`."""

    def __init__(
        self,
        session: Replication,
        address: Address,
        attempt: Attempt,
        rate: int | None,
        about: facts.Facts,
        findings: Sequence[warnings.Finding],
    ) -> None:
        self._warnings = findings
        self._session = session
        self._address = address
        # `PostgreSQL 15.18 on x86_64-pc-linux-gnu, compiled by ...`
        self._machine = str(about["banner"]).partition(" on ")[2].partition("-")[0]
        self._arrived = ReceivedFiles(algorithm(self._machine))
        system = session.ask("IDENTIFY_SYSTEM")[0]["systemid"]
        self._segment = setting_bytes(session.ask("SHOW wal_segment_size")[0]["wal_segment_size"])
        version = session.ask("SHOW server_version_num")[0]["server_version_num"]
        self._major = int(version) // 10_000
        session.send(_command(self._major, attempt.tag, rate, self._arrived.algorithm))
        start = session.rows()[0]
        self._spaces = {
            row["spcoid"]: row["spclocation"] for row in session.rows() if row["spcoid"]
        }
        self._about = about
        self._start = {"lsn": start["recptr"], "timeline": int(start["tli"])}
        self._system = system
        self.facts: Mapping[str, Any] = {}

    def pieces(self) -> Iterator[Piece]:
        """Each piece's bytes have to be read before the next piece."""
        manifest = b""
        for name, chunks in self._archives():
            if name == MANIFEST:
                manifest = b"".join(bytes(chunk) for chunk in chunks)
                continue
            tar = TarStream(chunks)
            for entry in tar.entries():
                yield self._piece(name, entry, tar)
        yield Piece(
            f"{DATA}/{MANIFEST}",
            0o600,
            0,
            directory=False,
            target="",
            cut=Cut.WHOLE,
            chunks=iter([manifest]),
        )
        self._finish(manifest)

    def _archives(self) -> Iterator[tuple[str, Chunks]]:
        """Archives by name, then the manifest: since 15 in one COPY, before in a COPY each."""
        if self._major >= _ONE_COPY_SINCE:
            self._session.result()
            stream = CopyStream(self._session.copied())
            for name in stream.names():
                yield name, stream.data()
            return
        for name in (*(f"{space}.tar" for space in self._spaces), "base.tar", MANIFEST):
            self._session.result()
            yield name, self._session.copied()

    def _piece(self, archive: str, entry: TarEntry, tar: TarStream) -> Piece:
        space = archive.removesuffix(".tar")
        folder = DATA if space == "base" else f"{SPACES}/{space}"
        manifest_path = entry.path if space == "base" else f"pg_tblspc/{space}/{entry.path}"
        is_file = not entry.directory and not entry.target
        # Relation files change page by page; all others change as a whole.
        has_pages = manifest_path.startswith(("base/", "global/", "pg_tblspc/"))
        return Piece(
            path=f"{folder}/{entry.path}".rstrip("/"),
            mode=entry.mode,
            mtime=entry.mtime * 1_000_000_000,
            directory=entry.directory,
            target=entry.target,
            cut=Cut.PAGES if has_pages else Cut.WHOLE,
            chunks=self._arrived.record(manifest_path, tar.data()) if is_file else iter(()),
        )

    def _finish(self, manifest: bytes) -> None:
        end = self._session.rows()[0]
        while self._session.result() is not None:
            pass  # the last message: CommandComplete, or which pages are damaged
        BackupManifest(manifest).require(self._arrived, self._segment)
        files = self._arrived.files
        position: dict[str, object] = {}
        # A copy of hours is good without it, too; only no archived log can be replayed onto it.
        with suppress(AddonUnavailable, AddonRefused), translated():
            with connect(self._address) as session:
                clock = session.execute(
                    "SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint,"
                    " txid_snapshot_xmax(txid_current_snapshot())"
                ).fetchone()
            position[LOG_POSITION] = {
                "source": self._system,
                "line": f"{int(end['tli']):08X}",
                "end": parse_lsn(end["recptr"]),
                "instant": clock[0] if clock else 0,
                "next": clock[1] if clock else None,
            }
        self.facts = {
            **position,
            "start": self._start,
            "end": {"lsn": end["recptr"], "timeline": int(end["tli"])},
            "major": self._major,
            "files": files,
            "proven": {
                "server's manifest": f"{files} files have its size and {self._arrived.algorithm}"
            },
            "bytes": self._arrived.bytes,
            "tablespaces": self._spaces,
            "superuser": self._about["bootstrap"],
            WARNINGS: self._warnings,
            "standby": self._about["standby"],
            "locales": self._about["locales"],
            "machine": self._machine,
        }


def _command(major: int, label: str, rate: int | None, checksums: str) -> str:
    """The BASE_BACKUP command; `rate` in KiB per second, None: without a limit."""
    if major >= _ONE_COPY_SINCE:
        limit = f", MAX_RATE {rate}" if rate else ""
        return (
            f"BASE_BACKUP (LABEL '{label}', PROGRESS true, CHECKPOINT 'fast', WAL true,"
            f" TABLESPACE_MAP true, MANIFEST 'yes', MANIFEST_CHECKSUMS '{checksums}'{limit})"
        )
    limit = f" MAX_RATE {rate}" if rate else ""
    return (
        f"BASE_BACKUP LABEL '{label}' PROGRESS FAST WAL{limit}"
        f" TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS '{checksums}'"
    )


def parse_lsn(text: str) -> int:
    """Converts `1A/2B` to an integer."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def setting_bytes(setting: str) -> int:
    """Converts `16MB` to bytes."""
    units = {"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
    unit = next((unit for unit in units if setting.endswith(unit)), "")
    if not unit:
        raise EvidenceMissing(f"the server's WAL segments have an unknown size {setting!r}")
    return int(setting.removesuffix(unit)) * units[unit]


@contextmanager
def capture(
    address: Address, attempt: Attempt, guard: Guard, rate: int | None
) -> Generator[Capture]:
    application = f"holdfast_{attempt.tag}"
    with translated(guard), connect(address, application=application) as session:
        rows = session.execute(
            "SELECT DISTINCT unnest(ARRAY[datcollate, datctype]::text[]) FROM pg_database"
            " ORDER BY 1"
        ).fetchall()
        # The libc locales that databases need wherever they are opened.
        about = {**facts.server(session), "locales": [row[0] for row in rows]}
        findings = list(warnings.snapshot_warnings(session, address))
    for finding in findings:
        attempt.say(warnings.sentence(finding))
    with ExitStack() as sessions:
        keeper, address = _open_replication(sessions, address, application, guard)
        try:  # the slot ends with its connection, however that ends
            keeper.ask(f"CREATE_REPLICATION_SLOT {application} TEMPORARY PHYSICAL RESERVE_WAL")
        except AddonRefused as error:
            attempt.say(
                f"no replication slot ({error.message}): heavy writing may end this snapshot"
            )
        session = sessions.enter_context(replication(address, application, guard))
        yield Capture(session, address, attempt, rate, about, findings)


def _open_replication(
    sessions: ExitStack, address: Address, application: str, guard: Guard
) -> tuple[Replication, Address]:
    """Opens a session, through the server's Unix socket if that lets the user replicate.

    Returns it with the address that worked: `pg_hba.conf` has rules of its own for sockets.
    """
    near = through_socket(address)
    if near != address:
        with suppress(NotSupported, AddonRefused):
            return sessions.enter_context(replication(near, application, guard)), near
    return sessions.enter_context(replication(address, application, guard)), address
