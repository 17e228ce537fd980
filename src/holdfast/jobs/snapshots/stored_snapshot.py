"""A snapshot in its stores, as restores and drills read it: the manifest, and the files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holdfast.catalog.schema import Document
from holdfast.contracts.local_servers import FOREIGN
from holdfast.domain.errors import (
    EvidenceMissing,
    Failure,
    NotSupported,
    ObjectMissing,
    RestoreDiffers,
    SealBroken,
    StoreUnavailable,
)
from holdfast.domain.snapshot import FORMAT
from holdfast.jobs.core.job import Job
from holdfast.jobs.dumps.proof import require
from holdfast.jobs.snapshots import proof
from holdfast.repositories.restic.read.materialise import materialise
from holdfast.repositories.restic.read.reading import Totals
from holdfast.usecases.adoption.survey import manifest_of


@dataclass(frozen=True)
class StoredSnapshot:
    """Its tree in the repository, its files and their bytes, and its manifest."""

    tree: str
    files: int
    size: int
    manifest: Document


def find(job: Job, backup_pk: int, *, trusted: bool) -> StoredSnapshot:
    """Reads the manifest from the first readable copy: the platform's own, else another."""
    source = next(proof.sources(job, backup_pk))
    tree = source.snapshot.tree
    manifest = manifest_of(source.repository, tree)
    if manifest.get("format") != FORMAT:
        raise NotSupported(f"unknown snapshot format {manifest.get('format')!r}")
    if not trusted:
        manifest = {**manifest, "facts": {**manifest["facts"], FOREIGN: True}}
    return StoredSnapshot(tree, source.totals.files, source.totals.size, manifest)


def write_files(
    job: Job,
    backup_pk: int,
    found: StoredSnapshot,
    tree: Path,
    clear: Callable[[], None],
    *,
    reads_first: bool = False,
) -> None:
    """Writes all files of the snapshot, from the first copy whose bytes are as they were written.

    `clear` makes `tree` an empty directory, whatever an earlier attempt left in it. `reads_first`:
    every byte is read and found right before that.
    """
    failure: Failure | None = None
    for source in proof.sources(job, backup_pk):
        try:
            if reads_first:
                require([proof.read_all(job, source.repository, found.tree)])
            clear()
            job.guard.bytes_expected = found.size
            job.guard.watch_for_stall(on=True)
            try:
                written = materialise(source.repository, found.tree, tree, job.moved)
            finally:
                job.guard.watch_for_stall(on=False)
            if written != Totals(found.files, found.size):
                problem = f"{written.files} files with {written.size} bytes were written"
                raise RestoreDiffers(problem)
        except (ObjectMissing, SealBroken, EvidenceMissing, StoreUnavailable) as error:
            job.say(f"this copy cannot be used: {error.message}")
            failure = error
        else:
            return
    if failure is not None:
        raise failure
