"""Result of surveying a store for backups that the catalogue does not know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.domain.backup import BackupType, Compression
from holdfast.domain.provenance import Provenance


@dataclass(frozen=True)
class SurveyedBackup:
    """One unknown backup as its stored objects describe it. `size` in bytes; `created` in ms since
    1970; `objects` is the prefix of a dump, the key of a snapshot."""

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
class SurveyedAddon:
    """The unknown backups of one addon in a store, oldest first. `uid` is the addon's, empty if not
    recorded; `repository` is the prefix of its snapshots, empty for dumps."""

    project: str
    addon: str
    kind: str
    uid: str = ""
    repository: str = ""
    backups: Sequence[SurveyedBackup] = field(default_factory=tuple[SurveyedBackup])


@dataclass(frozen=True)
class SurveyProblem:
    """Why objects that look like a backup of ours are left alone."""

    location: str
    reason: str
