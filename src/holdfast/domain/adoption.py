"""Backups that lie at a place and that no row knows: what was found, before anything is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.domain.backup import BackupType, Compression
from holdfast.domain.provenance import Provenance


@dataclass(frozen=True)
class Found:
    """One backup as its objects describe it. `size` in bytes; `created` in ms since 1970;
    `objects` is the prefix of a dump, the key of a snapshot."""

    uid: str
    id: str
    name: str
    type: BackupType
    compression: Compression | None
    version: str
    created: int
    size: int
    objects: str
    evidence: Mapping[str, object]
    provenance: Provenance


@dataclass(frozen=True)
class Shelf:
    """What is new of one addon at a place, oldest first. `uid` is the addon's own where that is
    known; `repository` the prefix of its snapshots, empty for dumps."""

    project: str
    addon: str
    kind: str
    uid: str = ""
    repository: str = ""
    backups: Sequence[Found] = field(default_factory=tuple[Found])


@dataclass(frozen=True)
class Problem:
    """Why something that looks like a backup of ours is left alone."""

    where: str
    what: str
