"""Answers about backups, restores and destinations."""

from holdfast.views.shapes import Document, Shape


class BackupSource(Shape):
    type: str


class AdditionalDestinationView(Shape):
    destination_id: str
    type: str = "custom"
    retention_time: int | None = None


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
    progress: Document | None = None


class BackupList(Shape):
    backups: list[BackupView]


class DownloadLink(Shape):
    download_link: str


class RestoreStarted(Shape):
    restore_id: str


class RestoreView(Shape):
    id: str
    backup_id: str
    status: str
    restore_timestamp: str
    completed_at: str | None = None
    reason: str | None = None
    report: Document | None = None
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
    id: str
    name: str
    description: str | None = None
    type: str
    prefix: str
    credentials: DestinationCredentials
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
    id: str
    name: str
    status: str
    project: Reference | None = None
    addon: Reference | None = None
    config: StoredConfig
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


class EvidenceView(Shape):
    manifest_sha256: str
    members: list[MemberView]
    checks: list[Document]
    inventory: Document
