"""Sources of a backup's bytes: the addon's own server, another server, or a file.

A file is read once; its first bytes decide its format and compression. It becomes the only member
of a dump like ours, compressed as requested; whether it is whole is checked when it is read back
from the store. If an engine has only snapshots, a file becomes one.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from holdfast.catalog import addons, backups, imports
from holdfast.catalog.schema import Backup
from holdfast.contracts.engine import (
    EVERYTHING,
    Address,
    Dumpable,
    DumpSession,
    Inventory,
    Member,
    Scope,
)
from holdfast.contracts.foreign import Importable, Ingestible
from holdfast.contracts.job_arguments import RestoreArguments
from holdfast.contracts.snapshots import Capture, Piece, Snapshottable
from holdfast.domain import provenance
from holdfast.domain.backup import FILES, SourceType
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.domain.provenance import Provenance
from holdfast.jobs.core.job import Job
from holdfast.kit.fetch import Body, NotAllowed, fetched, is_local_service_name
from holdfast.kit.seal import Secret
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.meter import Meter
from holdfast.pipeline.unwrap import unwrap

_HEAD_BYTES = 64 << 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # what some editors put before text in UTF-8


def is_trusted(job: Job) -> bool:
    """Whether a restore trusts the backup's content: see `domain.provenance`. The caller may have
    vouched for it."""
    arguments = job.parse(RestoreArguments)
    return arguments.trusted or is_own(job, arguments.backup_pk)


def is_own(job: Job, backup_pk: int) -> bool:
    """Whether only people of the addon's own project can have shaped the backup."""
    with job.tools.catalog.read() as session:
        backup = backups.get(session, backup_pk)
        source = addons.get(session, backup.addon_pk)
        same_project = source.project_pk == job.addon.project_pk
        return provenance.is_trusted(Provenance(backup.provenance), same_project=same_project)


def dumper(job: Job) -> Dumpable:
    engine = job.engine()
    if not isinstance(engine, Dumpable):
        raise NotSupported(f"{engine.title} has no logical dumps; take a snapshot instead")
    return engine


def importer(job: Job) -> Importable:
    engine = job.engine()
    if not isinstance(engine, Importable):
        raise NotSupported(f"files cannot be imported into {engine.title}")
    return engine


def address(job: Job, backup: Backup) -> Address:
    """The address of the server to dump."""
    if backup.source != SourceType.LIVE_INSTANCE:
        job.require_running()
        return job.address()
    server = job.engine().parse(_sealed(job, backup).reveal())
    for host in server.hosts:
        if is_local_service_name(host):
            raise NotAllowed(f"{host} is a link-local address, where no server is")
    return server


def _sealed(job: Job, backup: Backup) -> Secret:
    with job.tools.catalog.read() as session:
        sealed = imports.of_backup(session, backup.pk).sealed
    if sealed is None:
        raise NotSupported("the address of this import was forgotten when it ended")
    return job.tools.sealer.open(sealed, imports.context(backup.uid))


@contextmanager
def opened(job: Job, backup: Backup) -> Generator[DumpSession]:
    if backup.source not in FILES:
        server, scope = address(job, backup), EVERYTHING
        if backup.source == SourceType.LIVE_INSTANCE:
            with job.tools.catalog.read() as session:
                every = imports.of_backup(session, backup.pk).every_database
            # Without users, which belong to the other server.
            scope = Scope(None if every else server.database, users=False)
        with dumper(job).dump(server, scope, job.attempt, job.guard) as session:
            yield session
        return
    with _file(job, backup) as body:
        job.guard.bytes_expected = body.size
        yield _FileDump(importer(job), job, backup, body)


@contextmanager
def captured(job: Job, backup: Backup, rate: int | None) -> Generator[Capture]:
    """Opens a physical copy of the addon's own server, or an imported file that is one."""
    engine = job.engine()
    if backup.source not in FILES:
        if not isinstance(engine, Snapshottable):
            raise NotSupported(f"{engine.title} has no snapshots here")
        with engine.snapshot(job.address(), job.attempt, job.guard, rate) as session:
            yield session
        return
    if not isinstance(engine, Ingestible):
        raise NotSupported(f"files cannot be imported into {engine.title}")
    with _file(job, backup) as body:
        job.guard.bytes_expected = body.size
        source = _FileSource(job, backup, body)
        job.say(f"the file is {source.packing}")
        with engine.ingest(source.chunks(), job.attempt, job.guard) as session:
            yield _FileCapture(session, source)


class _FileCapture:
    """The Capture of an imported file."""

    def __init__(self, session: Capture, source: "_FileSource") -> None:
        self._session = session
        self._source = source
        self.facts: Mapping[str, Any] = {}

    def pieces(self) -> Iterator[Piece]:
        yield from self._session.pieces()
        facts, arrival = self._session.facts, dict(self._source.finish())
        proven = {
            **cast("Mapping[str, str]", facts["proven"]),
            "arrival": f"{arrival['arrived']}",
        }
        self.facts = {**facts, "imported": arrival, "proven": proven}


@contextmanager
def _file(job: Job, backup: Backup) -> Generator[Body]:
    if backup.source == SourceType.EXTERNAL_DUMP:
        url = _sealed(job, backup).reveal()
        with fetched(url, job.tools.import_rules, job.tools.clock.monotonic) as body:
            yield body
        return
    with job.tools.catalog.read() as session:
        upload_pk = imports.of_backup(session, backup.pk).upload_pk
        if upload_pk is None:
            raise EvidenceMissing("the uploaded file is gone")
        upload = imports.upload(session, upload_pk)
        keys = [part.key for part in imports.parts(session, upload_pk)]
        size = upload.received
    store = job.tools.open_store(None)
    yield Body(size, (chunk for key in keys for chunk in store.get(key)))


class _FileDump:
    """The DumpSession of an imported file."""

    def __init__(self, engine: Importable, job: Job, backup: Backup, body: Body) -> None:
        self._source = _FileSource(job, backup, body)
        member = engine.recognise(self._source.head)
        job.say(f"the file is {member.format}, {self._source.packing}")
        self.members: Sequence[Member] = (member,)
        self.facts: Mapping[str, object] = {"imported": {}}

    def open(self, member: Member) -> "_FileSource":  # noqa: ARG002 - there is one
        return self._source

    def inventory(self) -> Inventory:
        """Empty: the file is surveyed when it is read back."""
        return Inventory([], {})


class _FileSource:
    """The plain bytes of an imported file, checked against its announcement at the end."""

    def __init__(self, job: Job, backup: Backup, body: Body) -> None:
        self._job, self._backup = job, backup
        self._size = body.size
        self._meter, self._digest = Meter(), Digest()
        self._plain, self.packing = unwrap(self._arriving(body.chunks), job.say)
        received: list[bytes] = []
        while sum(map(len, received)) < _HEAD_BYTES:
            if (chunk := next(self._plain, None)) is None:
                break
            received.append(chunk)
        self.head = b"".join(received).removeprefix(_BYTE_ORDER_MARK)
        self._unread = self.head

    def _arriving(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._job.guard.check()
            self._meter.feed(chunk)
            self._digest.feed(chunk)
            yield chunk

    def read(self, size: int) -> bytes:
        if not self._unread:
            self._unread = next(self._plain, b"")
        piece, self._unread = self._unread[:size], self._unread[size:]
        return piece

    def chunks(self) -> Iterator[bytes]:
        while chunk := self.read(_HEAD_BYTES):
            yield chunk

    def finish(self) -> Mapping[str, object]:
        """Returns the facts of the arrival; EvidenceMissing if it differs from the announcement."""
        arrived = {"bytes": self._meter.count, "sha256": self._digest.hexdigest}
        stated: dict[str, object] = {"bytes": self._size}
        if self._backup.source == SourceType.FILE_UPLOAD:
            with self._job.tools.catalog.read() as session:
                upload_pk = imports.of_backup(session, self._backup.pk).upload_pk
                upload = imports.upload(session, upload_pk or 0)
                stated = {"bytes": upload.size, "sha256": upload.sha256}
        announced = {name: value for name, value in stated.items() if value is not None}
        for name, expected in announced.items():
            if arrived[name] != expected:
                raise EvidenceMissing(
                    f"the file was announced with {name} {expected}; {arrived[name]} arrived"
                )
        return {"arrived": arrived, "announced": announced}

    def close(self) -> None:
        """Does nothing: `_file` closes the connection."""
