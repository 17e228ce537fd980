"""The proof of a stored dump: what is in the store, against what was written and counted."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import cast

from holdfast.contracts.engine import COUNTED_IN_ARCHIVE, Dumpable, Member, Recountable
from holdfast.contracts.foreign import Importable, Survey
from holdfast.domain import evidence
from holdfast.domain.artifact import StoredMember
from holdfast.domain.errors import EvidenceMissing
from holdfast.domain.evidence import Check
from holdfast.jobs.core.job import Job
from holdfast.jobs.dumps.partitions import by_root
from holdfast.jobs.dumps.store_member import Shelf
from holdfast.pipeline.decompress import decompress
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.meter import Meter


def checks_of(
    job: Job,
    engine: Dumpable,
    shelf: Shelf,
    member: StoredMember,
    counted: dict[str, int],
    roots: Mapping[str, str],
) -> list[Check]:
    """Every check of one member; `counted` are the rows of its database's tables at dump time,
    `roots` the tables that some of them are parts of.

    What could only be counted where it is stored is added to them.
    """
    statuses = cast("list[dict[str, object]] | None", member.facts.get("processes"))
    written = member.stored_bytes, member.stored_sha256
    return [
        evidence.exit_statuses(member.name, statuses),
        evidence.size_floor(member.name, member.plain_bytes),
        *_read_back(job, engine, shelf, member, counted, roots, written),
        *_structure(engine, shelf, member, len(counted)),
    ]


def _read_back(
    job: Job,
    engine: Dumpable,
    shelf: Shelf,
    member: StoredMember,
    counted: dict[str, int],
    roots: Mapping[str, str],
    written: tuple[int, str],
) -> Iterator[Check]:
    """The bytes as the store gives them back and, where they can be counted, the rows in them."""
    if member.database is None or not isinstance(engine, Recountable):
        yield evidence.read_back(member.name, written, _read(job, shelf, member))
        return
    meter, digest = Meter(), Digest()
    stored = _measured(_guarded(job, shelf.store.get(shelf.prefix + member.key)), meter, digest)
    described = Member(member.name, member.format, member.database)
    try:
        rows = engine.recount(described, decompress(stored, shelf.compression))
    except EvidenceMissing as error:
        yield Check(f"rows of {member.name}", False, error.message)
        return
    deque(stored, maxlen=0)  # what follows the end of the compressed data
    yield evidence.read_back(member.name, written, (meter.count, digest.hexdigest))
    yield evidence.rows_match(member.name, by_root(rows, roots), by_root(counted, roots))
    for table in cast("list[str]", member.facts.get(COUNTED_IN_ARCHIVE, [])):
        counted[table] = rows.get(table, 0)


def _measured(chunks: Iterator[bytes], meter: Meter, digest: Digest) -> Iterator[bytes]:
    for chunk in chunks:
        meter.feed(chunk)
        digest.feed(chunk)
        yield chunk


def checks_of_file(
    job: Job, engine: Importable, shelf: Shelf, member: StoredMember
) -> tuple[list[Check], Survey]:
    """Of a member that was a file, read to its end; and what it holds."""
    written = member.stored_bytes, member.stored_sha256
    plain = decompress(_guarded(job, shelf.store.get(shelf.prefix + member.key)), shelf.compression)
    job.guard.watch_for_stall(on=True)
    try:
        found = engine.survey(Member(member.name, member.format, member.database), plain)
    finally:
        job.guard.watch_for_stall(on=False)
    seen = {name: found.facts[name] for name in found.facts if name not in ("server", "tools")}
    return [
        evidence.arrived(member.name, member.facts),
        evidence.read_back(member.name, written, _read(job, shelf, member)),
        evidence.structure(member.name, None, seen),
    ], found


def _read(job: Job, shelf: Shelf, member: StoredMember) -> tuple[int, str]:
    meter, digest = Meter(), Digest()
    deque(_measured(_guarded(job, shelf.store.get(shelf.prefix + member.key)), meter, digest), 0)
    return meter.count, digest.hexdigest


def _guarded(job: Job, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        job.moved(len(chunk))
        yield chunk


def _structure(
    engine: Dumpable, shelf: Shelf, member: StoredMember, counted: int
) -> Iterator[Check]:
    """What the stock tool makes of the stored bytes."""
    plain = decompress(shelf.store.get(shelf.prefix + member.key), shelf.compression)
    try:
        found = engine.examine(Member(member.name, member.format, member.database), plain)
    except EvidenceMissing as error:
        yield evidence.structure(member.name, error.message, {})
        return
    yield evidence.structure(member.name, None, found)
    if member.database is not None:
        yield evidence.tables_covered(member.name, int(str(found["tableData"])), counted)


def require(checks: list[Check]) -> None:
    """Raises EvidenceMissing naming every check that did not pass."""
    failed = evidence.missing(checks)
    if failed:
        raise EvidenceMissing("; ".join(f"{c.name}: {c.found}" for c in failed))
