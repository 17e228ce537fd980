"""Copies one member of a dump from the engine's child through the pipeline into the store."""

from dataclasses import dataclass

from holdfast.contracts.engine import DumpSession, Member
from holdfast.contracts.store import ObjectStore
from holdfast.domain.artifact import StoredMember
from holdfast.domain.backup import SUFFIX, Compression
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.job import Job
from holdfast.pipeline.compress import compressor
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.meter import Meter
from holdfast.pipeline.pump import pump


@dataclass(frozen=True)
class DumpTarget:
    """Where the members of one attempt are stored, and their compression."""

    store: ObjectStore
    prefix: str
    compression: Compression


def copy_member(job: Job, session: DumpSession, member: Member, target: DumpTarget) -> StoredMember:
    """Stores one member. Commits only after every process behind the bytes has ended well."""
    name = f"{member.name}.{SUFFIX[target.compression]}"
    plain, plain_digest = Meter(job.guard.moved), Digest()
    stored, stored_digest = Meter(), Digest()
    stages = [plain, plain_digest, compressor(target.compression), stored, stored_digest]
    upload = target.store.begin(target.prefix + name)
    source = session.open(member)
    try:
        job.guard.watch_for_stall(on=True)
        pump(source.read, stages, upload, job.guard)
        facts = source.finish()
        job.guard.check()
        upload.commit()
    except BaseException:
        upload.abort()
        raise
    finally:
        job.guard.watch_for_stall(on=False)
        source.close()
    job.say(f"{name}: {show_bytes(plain.count)} in, {show_bytes(stored.count)} stored")
    return StoredMember(
        name=member.name,
        key=name,
        format=member.format,
        database=member.database,
        plain_bytes=plain.count,
        plain_sha256=plain_digest.hexdigest,
        stored_bytes=stored.count,
        stored_sha256=stored_digest.hexdigest,
        facts=facts,
    )
