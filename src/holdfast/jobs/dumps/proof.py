"""Proof of a stored dump: compares the store's bytes with what was written and counted."""

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
from holdfast.jobs.dumps.store_member import DumpTarget
from holdfast.pipeline.decompress import decompress
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.meter import Meter


def checks_of(
    job: Job,
    engine: Dumpable,
    target: DumpTarget,
    member: StoredMember,
    counted: dict[str, int],
    roots: Mapping[str, str],
) -> list[Check]:
    """Every check of one member; `counted` are the rows of its database's tables at dump time,
    `roots` the root tables of partitions.

    Rows that can only be counted in the stored member are added to `counted`.
    """
    statuses = cast("list[dict[str, object]] | None", member.facts.get("processes"))
    written = member.stored_bytes, member.stored_sha256
    return [
        evidence.exit_statuses(member.name, statuses),
        evidence.size_floor(member.name, member.plain_bytes),
        *_read_back(job, engine, target, member, counted, roots, written),
        *_structure(engine, target, member, len(counted)),
    ]


def _read_back(
    job: Job,
    engine: Dumpable,
    target: DumpTarget,
    member: StoredMember,
    counted: dict[str, int],
    roots: Mapping[str, str],
    written: tuple[int, str],
) -> Iterator[Check]:
    """Reads the stored bytes back and, if the engine can, counts the rows in them."""
    if member.database is None or not isinstance(engine, Recountable):
        yield evidence.read_back(member.name, written, _read(job, target, member))
        return
    meter, digest = Meter(), Digest()
    stored = _measured(_guarded(job, target.store.get(target.prefix + member.key)), meter, digest)
    described = Member(member.name, member.format, member.database)
    try:
        rows = engine.recount(described, decompress(stored, target.compression))
    except EvidenceMissing as error:
        yield Check(f"rows of {member.name}", False, error.message)
        return
    deque(stored, maxlen=0)  # bytes after the end of the compressed data
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
    job: Job, engine: Importable, target: DumpTarget, member: StoredMember
) -> tuple[list[Check], Survey]:
    """The checks of an imported file, and the survey of its content."""
    written = member.stored_bytes, member.stored_sha256
    plain = decompress(
        _guarded(job, target.store.get(target.prefix + member.key)), target.compression
    )
    job.guard.watch_for_stall(on=True)
    try:
        survey = engine.survey(Member(member.name, member.format, member.database), plain)
    finally:
        job.guard.watch_for_stall(on=False)
    facts = {name: survey.facts[name] for name in survey.facts if name not in ("server", "tools")}
    return [
        evidence.arrived(member.name, member.facts),
        evidence.read_back(member.name, written, _read(job, target, member)),
        evidence.structure(member.name, None, facts),
    ], survey


def _read(job: Job, target: DumpTarget, member: StoredMember) -> tuple[int, str]:
    meter, digest = Meter(), Digest()
    deque(_measured(_guarded(job, target.store.get(target.prefix + member.key)), meter, digest), 0)
    return meter.count, digest.hexdigest


def _guarded(job: Job, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        job.moved(len(chunk))
        yield chunk


def _structure(
    engine: Dumpable, target: DumpTarget, member: StoredMember, counted: int
) -> Iterator[Check]:
    """Lets the stock tool parse the stored bytes."""
    plain = decompress(target.store.get(target.prefix + member.key), target.compression)
    try:
        facts = engine.examine(Member(member.name, member.format, member.database), plain)
    except EvidenceMissing as error:
        yield evidence.structure(member.name, error.message, {})
        return
    yield evidence.structure(member.name, None, facts)
    if member.database is not None:
        yield evidence.tables_covered(member.name, int(str(facts["tableData"])), counted)


def require(checks: list[Check]) -> None:
    """Raises EvidenceMissing naming every check that did not pass."""
    failed = evidence.missing(checks)
    if failed:
        raise EvidenceMissing("; ".join(f"{c.name}: {c.found}" for c in failed))
