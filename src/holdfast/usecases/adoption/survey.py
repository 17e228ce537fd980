"""Surveys a store for backups that no row knows, such as those of a lost catalogue.

Anyone may have put objects into a bucket, so a backup must prove itself: a dump's manifest has our
form and names objects that are there in their sizes; a snapshot is opened with the owner's
passphrase, and every block of every file is in a pack that is there. Others are named and left
alone. Digests are checked when a backup is restored, as always.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from holdfast.catalog.schema import Document
from holdfast.contracts.store import ObjectStore
from holdfast.domain import snapshot
from holdfast.domain.adoption import SurveyedAddon, SurveyedBackup, SurveyProblem
from holdfast.domain.artifact import MANIFEST, stamped_part
from holdfast.domain.backup import BackupType, Compression
from holdfast.domain.errors import EvidenceMissing, Failure
from holdfast.domain.evidence import Check
from holdfast.domain.provenance import Provenance
from holdfast.domain.retention import store_check
from holdfast.domain.retention.store_check import Spot, spot_of
from holdfast.domain.snapshot import repository_of, snapshot_key
from holdfast.kit.seal import Secret
from holdfast.kit.sign import Stamp
from holdfast.pipeline.digest import Digest
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.read.reading import blobs, prove
from holdfast.repositories.restic.repository import Repository, open_repository
from holdfast.repositories.restic.upkeep.mending import missing_packs
from holdfast.usecases import backup_warnings
from holdfast.usecases.snapshots.snapshot_sources import lacking

_TAG = "holdfast:backup="
_MAX_MANIFEST_BYTES = 256 << 20

_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
_Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
_Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$", max_length=40)]
_Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+~_-]+$", max_length=80)]
_Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=900)]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Bytes = Annotated[int, Field(ge=0)]


class _Backup(BaseModel):
    uid: _Uuid
    id: _Slug
    name: Annotated[str, StringConstraints(min_length=1, max_length=250)]


class _Member(BaseModel):
    name: _Key
    key: _Key
    format: str
    database: str | None
    plain_bytes: _Bytes
    plain_sha256: _Sha256
    stored_bytes: _Bytes
    stored_sha256: _Sha256
    facts: Document


class _DumpManifest(BaseModel):
    format: Literal["holdfast-dump/1"]
    backup: _Backup
    engine: _Kind
    version: _Version
    compression: Compression
    created: datetime
    members: Annotated[list[_Member], Field(min_length=1)]
    facts: Document = {}
    inventory: Document


class _Addon(BaseModel):
    id: _Slug
    uid: _Uuid


class _SnapshotManifest(BaseModel):
    format: Literal["holdfast-snapshot/1"]
    backup: _Backup
    project: _Slug
    addon: _Addon
    engine: _Kind
    version: _Version
    created: datetime
    facts: Document
    provenance: Provenance = Provenance.OWN  # only owners of the passphrase can write it


@dataclass
class StoreSurvey:
    """Everything in a store that looks like ours, by project and addon."""

    dumps: dict[tuple[str, str], dict[str, dict[Spot, dict[str, int]]]] = field(
        default_factory=dict[tuple[str, str], dict[str, dict[Spot, dict[str, int]]]]
    )
    repositories: dict[tuple[str, str], list[str]] = field(
        default_factory=dict[tuple[str, str], list[str]]
    )

    @property
    def addons(self) -> list[tuple[str, str]]:
        return sorted({*self.dumps, *self.repositories})


def survey(store: ObjectStore) -> StoreSurvey:
    """Finds dumps and repositories by the keys of the store's objects alone."""
    contents = StoreSurvey()
    for stat in store.list(store_check.ROOT):
        spot = spot_of(stat.key)
        if spot is not None:
            backups = contents.dumps.setdefault((spot.project, spot.addon), {})
            attempt = backups.setdefault(spot.uid, {}).setdefault(spot, {})
            attempt[stat.key] = stat.size
    for stat in store.list(snapshot.ROOT):
        prefix = repository_of(stat.key)
        if prefix is not None and stat.key == f"{prefix}config":
            project, addon = prefix.split("/")[1:3]
            contents.repositories.setdefault((project, addon), []).append(prefix)
    return contents


def dumps(
    store: ObjectStore,
    backups_in_store: Mapping[str, Mapping[Spot, Mapping[str, int]]],
    known_uids: Collection[str],
    is_ours: Callable[[Document], bool],
) -> Iterator[SurveyedAddon | SurveyProblem]:
    """Reads the unknown dumps of one project and addon id, grouped by the kind of the addon.

    `known_uids` have rows already; `is_ours` tells whether this installation wrote a manifest.
    """
    fresh = sorted(backups_in_store.keys() - set(known_uids))
    newest = [max(backups_in_store[uid], key=lambda attempt: attempt.attempt) for uid in fresh]
    yield from _grouped(
        (
            (spot.prefix, partial(_dump, store, spot, backups_in_store[spot.uid][spot], is_ours))
            for spot in newest
        ),
        lambda kind, backups: SurveyedAddon(
            newest[0].project, newest[0].addon, kind, backups=backups
        ),
    )


def _grouped(
    readers: Iterable[tuple[str, Callable[[], tuple[str, SurveyedBackup]]]],
    addon_of: Callable[[str, Sequence[SurveyedBackup]], SurveyedAddon],
) -> Iterator[SurveyedAddon | SurveyProblem]:
    """Reads backups and groups them by kind of addon. Each reader comes with the location it reads;
    those that fail are yielded as problems."""
    kinds: dict[str, list[SurveyedBackup]] = {}
    for location, read in readers:
        try:
            kind, backup = read()
        except (Failure, ValidationError, ValueError) as error:
            yield SurveyProblem(location, _explain(error))
        else:
            kinds.setdefault(kind, []).append(backup)
    for kind, backups in kinds.items():
        yield addon_of(kind, sorted(backups, key=lambda backup: (backup.created, backup.uid)))


def is_stamped(stamp: Stamp, manifest: Document) -> bool:
    """Whether a dump's manifest is stamped with this installation's master key."""
    return stamp.is_on(stamped_part(manifest), str(manifest.get("stamp", "")))


def _provenance(manifest: Document, spot: Spot, is_ours: Callable[[Document], bool]) -> Provenance:
    """OWN only in the project the manifest was written for: moved to another it is foreign."""
    in_place = manifest["backup"].get("project") == spot.project
    own = manifest.get("provenance", Provenance.OWN) == Provenance.OWN
    return Provenance.OWN if own and in_place and is_ours(manifest) else Provenance.FOREIGN


def _dump(
    store: ObjectStore, spot: Spot, sizes: Mapping[str, int], is_ours: Callable[[Document], bool]
) -> tuple[str, SurveyedBackup]:
    key = spot.prefix + MANIFEST
    if key not in sizes:
        raise EvidenceMissing("it has no manifest, so it was never completed")
    if sizes[key] > _MAX_MANIFEST_BYTES:
        raise EvidenceMissing(f"its manifest has {sizes[key]} bytes")
    body, digest = b"".join(store.get(key)), Digest()
    digest.feed(body)
    manifest = _DumpManifest.model_validate_json(body)
    if manifest.backup.uid != spot.uid:
        raise EvidenceMissing(f"its manifest is of the backup {manifest.backup.uid}")
    expected = {member.key: member.stored_bytes for member in manifest.members}
    problem = store_check.damage(spot.prefix, expected, sizes)
    if problem is not None:
        raise EvidenceMissing(problem)
    check = Check("adopted", True, f"{len(expected)} members are there in their sizes")
    return manifest.engine, SurveyedBackup(
        uid=spot.uid,
        id=manifest.backup.id,
        name=manifest.backup.name,
        type=BackupType.DUMP,
        compression=manifest.compression,
        version=manifest.version,
        created=_ms(manifest.created),
        size=sum(expected.values()),
        objects=spot.prefix,
        evidence={
            "manifestSha256": digest.hexdigest,
            "members": [member.model_dump() for member in manifest.members],
            "checks": [check.document()],
            "inventory": manifest.inventory,
            "warnings": backup_warnings.gathered(
                manifest.facts, [m.facts for m in manifest.members]
            ),
        },
        provenance=_provenance(json.loads(body), spot, is_ours),
    )


def snapshots(
    store: ObjectStore,
    prefix: str,
    passphrase: Secret | None,
    known_uids: Callable[[Sequence[str]], Collection[str]],
) -> Iterator[SurveyedAddon | SurveyProblem]:
    """Reads the unknown snapshots of a repository, which the recovery kit's passphrase opens."""
    if passphrase is None:
        yield SurveyProblem(
            prefix, "the passphrase of its recovery kit is needed to read snapshots"
        )
        return
    try:
        repository = open_repository(store, prefix, passphrase)
        gaps = missing_packs(repository)
        readable, broken = repository.readable_snapshots()
        tagged = {uid: snapshot for snapshot in readable if (uid := _uid(snapshot))}
        fresh = [tagged[uid] for uid in sorted(tagged.keys() - set(known_uids([*tagged])))]
    except Failure as error:
        yield SurveyProblem(prefix, error.message)
        return
    for (kind, name), why in repository.damaged.items():
        yield SurveyProblem(repository.objects.key(kind, name), why)
    for name, why in broken.items():
        yield SurveyProblem(snapshot_key(prefix, name), why)
    _, project, addon, addon_uid, _ = prefix.split("/")
    yield from _grouped(
        (
            (
                snapshot_key(prefix, snapshot.id),
                partial(_snapshot, repository, prefix, snapshot, gaps),
            )
            for snapshot in fresh
        ),
        lambda kind, backups: SurveyedAddon(project, addon, kind, addon_uid, prefix, backups),
    )


def _uid(snapshot: Snapshot) -> str | None:
    return next((tag.removeprefix(_TAG) for tag in snapshot.tags if tag.startswith(_TAG)), None)


def _snapshot(
    repository: Repository, prefix: str, stored: Snapshot, gaps: Mapping[str, str]
) -> tuple[str, SurveyedBackup]:
    manifest = _SnapshotManifest.model_validate(manifest_of(repository, stored.tree))
    if manifest.backup.uid != _uid(stored):
        raise EvidenceMissing(f"its manifest is of the backup {manifest.backup.uid}")
    problem = lacking(repository, stored.tree, gaps) if gaps else None
    if problem is not None:
        raise EvidenceMissing(problem)
    totals = prove(repository, stored.tree)
    check = Check(
        "adopted", True, f"{totals.files} files, {totals.size} bytes: every block is there"
    )
    return manifest.engine, SurveyedBackup(
        uid=manifest.backup.uid,
        id=manifest.backup.id,
        name=manifest.backup.name,
        type=BackupType.SNAPSHOT,
        compression=None,
        version=manifest.version,
        created=_ms(manifest.created),
        size=totals.size,
        objects=snapshot_key(prefix, stored.id),
        evidence={
            "snapshot": stored.id,
            "tree": stored.tree,
            "files": totals.files,
            "checks": [check.document()],
            "facts": manifest.facts,
            "warnings": backup_warnings.gathered(manifest.facts),
        },
        provenance=Provenance.FOREIGN if "imported" in manifest.facts else manifest.provenance,
    )


def archive_key_of(store: ObjectStore, prefix: str, passphrase: Secret) -> Secret | None:
    """The key of the addon's archived log, from its newest snapshot that has one; None: none."""
    repository = open_repository(store, prefix, passphrase)
    readable, _ = repository.readable_snapshots()
    key_path = snapshot.ARCHIVE_KEY.encode()
    for stored in sorted(readable, key=lambda one: one.time, reverse=True):
        for path, node in repository.walk(stored.tree):
            if path == key_path:
                return Secret(b"".join(blobs(repository, node.content)).decode().strip())
    return None


def manifest_of(repository: Repository, tree: str) -> Document:
    """The manifest inside a snapshot; EvidenceMissing if there is none."""
    manifest_path = snapshot.MANIFEST.encode()
    for path, node in repository.walk(tree):
        if path == manifest_path:
            return json.loads(b"".join(blobs(repository, node.content)))
    raise EvidenceMissing(f"the snapshot holds no {snapshot.MANIFEST}")


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _explain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        field_path = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
        return f"its manifest is not ours: {field_path or 'as a whole'}: {first['msg']}"
    return error.message if isinstance(error, Failure) else f"its manifest is no JSON: {error}"
