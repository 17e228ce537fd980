"""A dump in its store, as restores and drills read it: the manifest, and proven bytes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.catalog.schema import Backup, Document
from holdfast.catalog.storage import copies
from holdfast.contracts.engine import Dump, Member
from holdfast.contracts.store import ObjectStore
from holdfast.domain.artifact import FORMAT, MANIFEST
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.jobs.core.job import Job
from holdfast.jobs.dumps import inventories
from holdfast.pipeline.decompress import decompress
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.meter import Meter

Source = tuple[ObjectStore, str]


def source_of(job: Job, backup: Backup) -> Source:
    """The store that holds the backup, and its prefix there."""
    with job.tools.catalog.read() as session:
        copy = copies.first(session, backup.pk)
    return job.tools.open_store(copy.destination_pk), str(copy.objects)


def read_manifest(job: Job, backup: Backup) -> Document:
    """The stored manifest. EvidenceMissing if it is not the one that the evidence names."""
    store, prefix = source_of(job, backup)
    body = b"".join(store.get(f"{prefix}{MANIFEST}"))
    digest = Digest()
    digest.feed(body)
    expected = (backup.evidence or {}).get("manifestSha256")
    if digest.hexdigest != expected:
        raise EvidenceMissing(f"the stored manifest has sha256 {digest.hexdigest}, not {expected}")
    manifest = json.loads(body)
    if manifest.get("format") != FORMAT:
        raise NotSupported(f"unknown dump format {manifest.get('format')!r}")
    return manifest


def size_of(manifest: Document) -> int:
    """Plain bytes of all members."""
    return sum(member["plain_bytes"] for member in manifest["members"])


def described(
    manifest: Document,
    *,
    near: bool = False,
    trusted: bool,
    locale: str | None = None,
    skips_failed: bool = False,
) -> Dump:
    """The dump as an engine restores it."""
    return Dump(
        version=manifest["version"],
        members=[Member(m["name"], m["format"], m["database"]) for m in manifest["members"]],
        facts={
            **manifest["facts"],
            "members": {m["name"]: m["facts"] for m in manifest["members"]},
        },
        inventory=inventories.parse(manifest["inventory"]),
        near=near,
        size=size_of(manifest),
        trusted=trusted,
        locale=locale,
        skips_failed=skips_failed,
    )


def fetcher(
    job: Job, source: Source, manifest: Document, waited: Callable[[float], None] = lambda _: None
) -> Callable[[str], Iterator[bytes]]:
    """Opens members by name. Bytes that were read before are no progress the second time.

    `waited(seconds)` hears how long the store took for each chunk.
    """
    store, prefix = source
    members = {member["name"]: member for member in manifest["members"]}
    furthest = dict.fromkeys(members, 0)

    def fetch(name: str) -> Iterator[bytes]:
        member, position = members[name], 0
        stored = proven(member, _timed(job, store.get(prefix + member["key"]), waited))
        job.guard.watch_for_stall(on=True)
        try:
            for chunk in decompress(stored, manifest["compression"]):
                job.guard.check()
                yield chunk
                position += len(chunk)
                job.guard.moved(max(0, position - furthest[name]))
                furthest[name] = max(position, furthest[name])
        finally:
            job.guard.watch_for_stall(on=False)

    return fetch


def _timed(job: Job, chunks: Iterator[bytes], waited: Callable[[float], None]) -> Iterator[bytes]:
    began = job.tools.clock.monotonic()
    for chunk in chunks:
        waited(job.tools.clock.monotonic() - began)
        yield chunk
        began = job.tools.clock.monotonic()


def proven(member: dict[str, Any], chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Passes the stored bytes on; raises EvidenceMissing at the end if they are not the
    backup's."""
    meter, digest = Meter(), Digest()
    for chunk in chunks:
        meter.feed(chunk)
        digest.feed(chunk)
        yield chunk
    if (meter.count, digest.hexdigest) != (member["stored_bytes"], member["stored_sha256"]):
        raise EvidenceMissing(f"{member['key']} is not what was stored: its digest differs")
