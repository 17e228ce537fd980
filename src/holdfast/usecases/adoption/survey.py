"""Reads a place for backups that no row knows: what an installation whose catalogue is lost left.

What lies in a bucket may have been put there by anybody. It is taken as far as it proves itself:
a dump's manifest has our form and names objects that are there in their sizes; a snapshot is opened
with the owner's passphrase, and every block of every file of it is in a pack that is there. What
does not is named and left alone. Digests are proven when a backup is restored, as always.
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
from holdfast.domain import snapshot, store_check
from holdfast.domain.adoption import Found, Problem, Shelf
from holdfast.domain.artifact import MANIFEST, stamped_part
from holdfast.domain.backup import BackupType, Compression
from holdfast.domain.errors import EvidenceMissing, Failure
from holdfast.domain.evidence import Check
from holdfast.domain.provenance import Provenance
from holdfast.domain.snapshot import repository_of, snapshot_key
from holdfast.domain.store_check import Spot, spot_of
from holdfast.kit.seal import Secret
from holdfast.kit.sign import Stamp
from holdfast.pipeline.digest import Digest
from holdfast.repositories.restic.read.reading import blobs, prove
from holdfast.repositories.restic.repository import Repository, Snapshot, open_repository
from holdfast.repositories.restic.upkeep.mending import missing_packs
from holdfast.usecases import backup_warnings
from holdfast.usecases.store_check.snapshot_check import lacking

_TAG = "holdfast:backup="
_MOST_MANIFEST_BYTES = 256 << 20

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
    provenance: Provenance = Provenance.OWN  # who has the passphrase wrote it


@dataclass
class Place:
    """Everything at a place that looks like ours, by project and addon."""

    dumps: dict[tuple[str, str], dict[str, dict[Spot, dict[str, int]]]] = field(
        default_factory=dict[tuple[str, str], dict[str, dict[Spot, dict[str, int]]]]
    )
    repositories: dict[tuple[str, str], list[str]] = field(
        default_factory=dict[tuple[str, str], list[str]]
    )

    @property
    def addons(self) -> list[tuple[str, str]]:
        return sorted({*self.dumps, *self.repositories})


def survey(store: ObjectStore) -> Place:
    """From the keys alone."""
    found = Place()
    for stat in store.list(store_check.ROOT):
        spot = spot_of(stat.key)
        if spot is not None:
            shelf = found.dumps.setdefault((spot.project, spot.addon), {})
            attempt = shelf.setdefault(spot.uid, {}).setdefault(spot, {})
            attempt[stat.key] = stat.size
    for stat in store.list(snapshot.ROOT):
        prefix = repository_of(stat.key)
        if prefix is not None and stat.key == f"{prefix}config":
            project, addon = prefix.split("/")[1:3]
            found.repositories.setdefault((project, addon), []).append(prefix)
    return found


def dumps(
    store: ObjectStore,
    shelf: Mapping[str, Mapping[Spot, Mapping[str, int]]],
    known: Collection[str],
    is_ours: Callable[[Document], bool],
) -> Iterator[Shelf | Problem]:
    """One shelf for each kind of addon that bore the name. `known` are uids that have rows;
    `is_ours` tells of a manifest whether this installation wrote it."""
    fresh = sorted(shelf.keys() - set(known))
    newest = [max(shelf[uid], key=lambda each: each.attempt) for uid in fresh]
    yield from _shelved(
        (
            (spot.prefix, partial(_dump, store, spot, shelf[spot.uid][spot], is_ours))
            for spot in newest
        ),
        lambda kind, backups: Shelf(newest[0].project, newest[0].addon, kind, backups=backups),
    )


def _shelved(
    looks: Iterable[tuple[str, Callable[[], tuple[str, Found]]]],
    shelf: Callable[[str, Sequence[Found]], Shelf],
) -> Iterator[Shelf | Problem]:
    """Each look says where it is and finds a backup and its kind, or what is wrong with it."""
    kinds: dict[str, list[Found]] = {}
    for where, look in looks:
        try:
            kind, found = look()
        except (Failure, ValidationError, ValueError) as error:
            yield Problem(where, _said(error))
        else:
            kinds.setdefault(kind, []).append(found)
    for kind, backups in kinds.items():
        yield shelf(kind, sorted(backups, key=_age))


def is_stamped(stamp: Stamp, manifest: Document) -> bool:
    """Whether a dump's manifest has a stamp of this installation's master key."""
    return stamp.is_on(stamped_part(manifest), str(manifest.get("stamp", "")))


def _provenance(manifest: Document, spot: Spot, is_ours: Callable[[Document], bool]) -> Provenance:
    """A manifest is believed where it was written: moved below another project it is foreign."""
    in_place = manifest["backup"].get("project") == spot.project
    own = manifest.get("provenance", Provenance.OWN) == Provenance.OWN
    return Provenance.OWN if own and in_place and is_ours(manifest) else Provenance.FOREIGN


def _dump(
    store: ObjectStore, spot: Spot, sizes: Mapping[str, int], is_ours: Callable[[Document], bool]
) -> tuple[str, Found]:
    key = spot.prefix + MANIFEST
    if key not in sizes:
        raise EvidenceMissing("it has no manifest, so it was never completed")
    if sizes[key] > _MOST_MANIFEST_BYTES:
        raise EvidenceMissing(f"its manifest has {sizes[key]} bytes")
    body, digest = b"".join(store.get(key)), Digest()
    digest.feed(body)
    manifest = _DumpManifest.model_validate_json(body)
    if manifest.backup.uid != spot.uid:
        raise EvidenceMissing(f"its manifest is of the backup {manifest.backup.uid}")
    wanted = {each.key: each.stored_bytes for each in manifest.members}
    problem = store_check.damage(spot.prefix, wanted, sizes)
    if problem is not None:
        raise EvidenceMissing(problem)
    check = Check("adopted", True, f"{len(wanted)} members are there in their sizes")
    return manifest.engine, Found(
        uid=spot.uid,
        id=manifest.backup.id,
        name=manifest.backup.name,
        type=BackupType.DUMP,
        compression=manifest.compression,
        version=manifest.version,
        created=_ms(manifest.created),
        size=sum(wanted.values()),
        objects=spot.prefix,
        evidence={
            "manifestSha256": digest.hexdigest,
            "members": [each.model_dump() for each in manifest.members],
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
    known: Callable[[Sequence[str]], Collection[str]],
) -> Iterator[Shelf | Problem]:
    """The shelf of a repository; the passphrase of its recovery kit opens it."""
    if passphrase is None:
        yield Problem(prefix, "the passphrase of its recovery kit is needed to read snapshots")
        return
    try:
        repository = open_repository(store, prefix, passphrase)
        gaps = missing_packs(repository)
        readable, broken = repository.readable_snapshots()
        tagged = {uid: each for each in readable if (uid := _uid(each))}
        fresh = [tagged[uid] for uid in sorted(tagged.keys() - set(known([*tagged])))]
    except Failure as error:
        yield Problem(prefix, error.message)
        return
    for (kind, name), why in repository.damaged.items():
        yield Problem(repository.objects.key(kind, name), why)
    for name, why in broken.items():
        yield Problem(snapshot_key(prefix, name), why)
    _, project, addon, addon_uid, _ = prefix.split("/")
    yield from _shelved(
        (
            (snapshot_key(prefix, each.id), partial(_snapshot, repository, prefix, each, gaps))
            for each in fresh
        ),
        lambda kind, backups: Shelf(project, addon, kind, addon_uid, prefix, backups),
    )


def _uid(taken: Snapshot) -> str | None:
    return next((tag.removeprefix(_TAG) for tag in taken.tags if tag.startswith(_TAG)), None)


def _snapshot(
    repository: Repository, prefix: str, taken: Snapshot, gaps: Mapping[str, str]
) -> tuple[str, Found]:
    manifest = _SnapshotManifest.model_validate(manifest_of(repository, taken.tree))
    if manifest.backup.uid != _uid(taken):
        raise EvidenceMissing(f"its manifest is of the backup {manifest.backup.uid}")
    problem = lacking(repository, taken.tree, gaps) if gaps else None
    if problem is not None:
        raise EvidenceMissing(problem)
    totals = prove(repository, taken.tree)
    check = Check(
        "adopted", True, f"{totals.files} files, {totals.size} bytes: every block is there"
    )
    return manifest.engine, Found(
        uid=manifest.backup.uid,
        id=manifest.backup.id,
        name=manifest.backup.name,
        type=BackupType.SNAPSHOT,
        compression=None,
        version=manifest.version,
        created=_ms(manifest.created),
        size=totals.size,
        objects=snapshot_key(prefix, taken.id),
        evidence={
            "snapshot": taken.id,
            "tree": taken.tree,
            "files": totals.files,
            "checks": [check.document()],
            "facts": manifest.facts,
            "warnings": backup_warnings.gathered(manifest.facts),
        },
        provenance=Provenance.FOREIGN if "imported" in manifest.facts else manifest.provenance,
    )


def manifest_of(repository: Repository, tree: str) -> Document:
    """What a snapshot says of itself; EvidenceMissing without that."""
    wanted = snapshot.MANIFEST.encode()
    for path, node in repository.walk(tree):
        if path == wanted:
            return json.loads(b"".join(blobs(repository, node.content)))
    raise EvidenceMissing(f"the snapshot holds no {snapshot.MANIFEST}")


def _age(found: Found) -> tuple[int, str]:
    return found.created, found.uid


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
        return f"its manifest is not ours: {where or 'as a whole'}: {first['msg']}"
    return error.message if isinstance(error, Failure) else f"its manifest is no JSON: {error}"
