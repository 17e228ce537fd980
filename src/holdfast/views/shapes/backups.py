"""Answers about backups, restores and destinations."""

from holdfast.views.shapes.base import Document, Shape
from holdfast.views.shapes.schedules import AdditionalDestinationView, SchedulingView


class BackupSource(Shape):
    type: str


class BackupConfig(Shape):
    source: BackupSource
    size: str
    compression_type: str | None = None
    additional_destinations: list[AdditionalDestinationView] | None = None
    addon_version: str


class LastRestore(Shape):
    restore_timestamp: str
    status: str
    completed_at: str | None = None


class Cause(SchedulingView):
    """A schedule that caused a backup, as it was then."""

    id: str
    retention_time: int


class UploadView(Shape):
    """`received` is the offset of the next byte; `part_size` the most bytes in one part."""

    id: str
    received: int
    size: int | None = None
    part_size: int


class PendingDeletion(Shape):
    """A planned deletion. It begins at `at` at the earliest, and may be called off until then."""

    at: str
    reason: str
    begun_at: str | None = None
    last_error: str | None = None


class CopyView(Shape):
    """A backup in one store; without `destinationId` the platform's own. `readAt` is when every
    byte of a dump was last read and verified, `spoiled` the problem that a check found."""

    destination_id: str | None = None
    status: str
    reason: str | None = None
    next_try_at: str | None = None
    size: str
    expires_at: str | None = None
    read_at: str | None = None
    lost: str | None = None
    spoiled: str | None = None
    deletion: PendingDeletion | None = None


class BackupView(Shape):
    id: str
    name: str
    uid: str
    status: str
    created_at: str
    completed_at: str | None = None
    config: BackupConfig
    custom_destination_id: str | None = None
    last_restore: LastRestore | None = None
    backup_type: str
    retained: bool
    reason: str | None = None
    warnings: int | None = None
    progress: Document | None = None
    schedules: list[Cause] | None = None
    expires_at: str | None = None
    copies: list[CopyView]


class BackupList(Shape):
    backups: list[BackupView]


class DownloadLink(Shape):
    download_link: str


class RestoreStarted(Shape):
    restore_id: str


class RecoveryStarted(BackupView):
    """The backup that a recovery begins with, and the restore that it is."""

    restore_id: str


class RestoreView(Shape):
    """`oldDataUntil`: the addon's old data is kept until then, so that an undo can put it back.
    `undoes`: the id of the restore that this one undid."""

    id: str
    backup_id: str
    status: str
    restore_timestamp: str
    completed_at: str | None = None
    reason: str | None = None
    report: Document | None = None
    old_data_until: str | None = None
    undoes: str | None = None
    progress: Document | None = None


class RestoreList(Shape):
    restores: list[RestoreView]


class DestinationCredentials(Shape):
    access_key: str
    secret_key: str
    bucket_name: str
    region: str
    endpoint: str


class DestinationView(Shape):
    """`maxParts` to `addressing` are settings of the service, as chosen or found out."""

    id: str
    name: str
    description: str | None = None
    type: str
    prefix: str
    project_id: str | None = None
    projects: list[str] | None = None
    credentials: DestinationCredentials
    max_parts: int | None = None
    equal_parts: bool | None = None
    checksum: str | None = None
    addressing: str | None = None
    created_at: str
    updated_at: str


class DestinationList(Shape):
    backup_destinations: list[DestinationView]


class Reference(Shape):
    id: str
    name: str


class GlobalSource(Shape):
    type: str = "global"


class StoredConfig(Shape):
    addon_version: str | None = None
    addon_type: str | None = None
    source: GlobalSource = GlobalSource()
    size: str


class StoredBackup(Shape):
    """A copy at a destination. It may outlive its addon, so the addon is named and not linked."""

    id: str
    name: str
    uid: str
    status: str
    project: Reference
    addon: Reference
    config: StoredConfig
    reason: str | None = None
    schedules: list[SchedulingView] | None = None
    expired_by: int | None = None
    created_at: str
    completed_at: str | None = None


class MemberView(Shape):
    """One stored object of a dump. Sizes in bytes, digests as hex sha256."""

    name: str
    key: str
    format: str
    database: str | None = None
    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    stored_sha256: str
    facts: Document


class FinishView(Shape):
    """What a snapshot's files need in their directory: texts to write, texts to append and modes to
    set (octal), by path; then `steps` for a person."""

    texts: dict[str, str]
    appended: dict[str, str]
    modes: dict[str, str]
    steps: list[str]


class ProbeView(Shape):
    """What became of writing, reading back, listing and deleting; `problem` names what failed."""

    works: bool
    problem: str | None = None
    milliseconds: int


class KitRepository(Shape):
    """A repository's address, as the stock `restic` takes it."""

    project: str
    addon: str
    url: str


class RecoveryKit(Shape):
    """Opens every repository of a store, also later ones, without Holdfast."""

    passphrase: str
    repositories: list[KitRepository]


class AdoptionProblem(Shape):
    """Something that looks like a backup of Holdfast and was not adopted."""

    where: str
    problem: str


class AdoptedArchive(Shape):
    """An archived log that was adopted, and the window of it that ends last."""

    project_id: str
    addon_id: str
    has_valid_window: bool
    start_timestamp: str | None = None
    end_timestamp: str | None = None


class Adopted(Shape):
    """The backups and logs that were adopted. `next` is present when there are more."""

    archives: list[AdoptedArchive]
    backups: list[StoredBackup]
    problems: list[AdoptionProblem]
    next: str | None = None


class EvidenceView(Shape):
    """A dump has members and an inventory; a snapshot its id, and the new bytes it stored.

    `provenance`: `own`, taken from the addon's own server, or `foreign`, of unknown origin.
    `warnings`: objects that will not restore elsewhere as they are, each with `database`, `object`,
    `text`.
    """

    provenance: str
    checks: list[Document]
    warnings: list[Document]
    manifest_sha256: str | None = None
    members: list[MemberView] | None = None
    inventory: Document | None = None
    snapshot: str | None = None
    files: int | None = None
    stored_bytes: int | None = None
    facts: Document | None = None
