"""Every table of the catalogue, the same on SQLite and PostgreSQL.

Instants are integers, ms since 1970 UTC. `pk` only ever grows, so `pk DESC` is newest-first and
a page boundary stays where it is when rows arrive. Rows that other rows may outlive (projects,
addons, destinations) are marked `deleted` and keep their slug for history; partial unique indexes
free the slug for the living.
"""

from holdfast.catalog.schema.account import (
    AuditEntry,
    Chore,
    Replay,
    Role,
    StoreMark,
    Token,
    Worker,
)
from holdfast.catalog.schema.alarms import (
    AlarmRow,
    AttemptRow,
    ChannelRow,
    DeliveryRow,
    MonitorRow,
    ObservationRow,
)
from holdfast.catalog.schema.archives import ArchiveLine, ArchivePiece, ArchivePoint, ArchiveRow
from holdfast.catalog.schema.backups import (
    Backup,
    Copy,
    Import,
    Reading,
    Restore,
    Upload,
    UploadPart,
)
from holdfast.catalog.schema.base import BigKey, Document, Table
from holdfast.catalog.schema.drills import AssertionRow, Drill, DrillPlanRow
from holdfast.catalog.schema.protection import ObjectiveRow, ProtectionRow
from holdfast.catalog.schema.reports import Report, ReportPart, SigningKey
from holdfast.catalog.schema.snapshot_repositories import MasterKey, Recovery, Repository
from holdfast.catalog.schema.things import Addon, AddonEvent, Destination, Project
from holdfast.catalog.schema.upkeep import Deletion, Finding, Occurrence, RetentionHold, Schedule
from holdfast.catalog.schema.users import CliLogin, Passkey, RecoveryCode, User, WebSession
from holdfast.catalog.schema.work import Line, Operation

__all__ = [
    "Addon",
    "AddonEvent",
    "AlarmRow",
    "ArchiveLine",
    "ArchivePiece",
    "ArchivePoint",
    "ArchiveRow",
    "AssertionRow",
    "AttemptRow",
    "AuditEntry",
    "Backup",
    "BigKey",
    "ChannelRow",
    "Chore",
    "CliLogin",
    "Copy",
    "Deletion",
    "DeliveryRow",
    "Destination",
    "Document",
    "Drill",
    "DrillPlanRow",
    "Finding",
    "Import",
    "Line",
    "MasterKey",
    "MonitorRow",
    "ObjectiveRow",
    "ObservationRow",
    "Occurrence",
    "Operation",
    "Passkey",
    "Project",
    "ProtectionRow",
    "Reading",
    "Recovery",
    "RecoveryCode",
    "Replay",
    "Report",
    "ReportPart",
    "Repository",
    "Restore",
    "RetentionHold",
    "Role",
    "Schedule",
    "SigningKey",
    "StoreMark",
    "Table",
    "Token",
    "Upload",
    "UploadPart",
    "User",
    "WebSession",
    "Worker",
]
