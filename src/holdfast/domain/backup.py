"""Backups: their types, where they came from, and what makes one good."""

import re
from enum import StrEnum

from holdfast.domain.operation import Kind


class BackupType(StrEnum):
    DUMP = "dump"
    SNAPSHOT = "snapshot"


class Compression(StrEnum):
    GZ = "gz"
    ZSTD = "zstd"


SUFFIX = {Compression.GZ: "gz", Compression.ZSTD: "zst"}


class SourceType(StrEnum):
    SAME_ADDON = "sameAddon"
    SNAPSHOT = "snapshot"
    LIVE_INSTANCE = "liveInstance"
    EXTERNAL_DUMP = "externalDump"
    FILE_UPLOAD = "fileUpload"


FILES = frozenset({SourceType.EXTERNAL_DUMP, SourceType.FILE_UPLOAD})
IMPORTED = FILES | {SourceType.LIVE_INSTANCE}
"""Sources whose data is not the addon's own."""


def source_of(kind: BackupType) -> SourceType:
    return SourceType.SNAPSHOT if kind is BackupType.SNAPSHOT else SourceType.SAME_ADDON


def taken_by(kind: BackupType) -> Kind:
    """The kind of operation that makes a backup of this type."""
    return Kind.SNAPSHOT if kind is BackupType.SNAPSHOT else Kind.BACKUP


def restored_by(kind: BackupType) -> Kind:
    """The kind of operation that restores a backup of this type."""
    return Kind.RESTORE_IN_PLACE if kind is BackupType.SNAPSHOT else Kind.RESTORE


def default_name(instant_text: str) -> str:
    """`2026-01-20T11:19:53.175Z` to `2026-01-20 11:19:53`, a name the v1 pattern admits."""
    return re.sub(r"\..*$", "", instant_text.replace("T", " "))
