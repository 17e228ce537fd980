"""Request bodies: one description for validation, the API document and the CLI.

Bodies that decide how safe data is (backups, restores, destinations, tokens) refuse unknown keys,
because a misspelt safety setting must not pass; project and addon bodies ignore them, because the
official clients send settings of a platform that this is not.
"""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from holdfast.domain import naming
from holdfast.domain.backup import BackupType, Compression
from holdfast.domain.errors import Invalid
from holdfast.domain.schedules.schedule import Interval, problems
from holdfast.kit.fetch import require_url
from holdfast.usecases.forms.store_settings import Granted, StoreSettings
from holdfast.usecases.forms.texts import (
    BackupName,
    Color,
    Description,
    DestinationId,
    DestinationName,
    Hex24,
    Matching,
    Name,
)


class Form(BaseModel):
    """Keys are camelCase on the wire; unknown ones are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", str_max_length=100_000)


class StrictForm(Form):
    """Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class ProjectForm(Form):
    name: Name
    description: Description | None = None
    color: Color | None = None
    region: Annotated[str, Field(max_length=60)] | None = None
    cluster_id: Annotated[str, Field(max_length=60)] | None = None


class ProjectPatch(Form):
    name: Name | None = None
    description: Description | None = None
    color: Color | None = None


class Billing(Form):
    deployment_plan: Annotated[str, Field(min_length=1, max_length=100)]
    storage: Annotated[int, Field(ge=1)]
    replicas: Annotated[int, Field(ge=1, le=1)] = Field(
        description="Managed servers are single: exactly 1."
    )
    storage_class: Annotated[str, Field(max_length=60)] | None = None


class CustomCredentials(Form):
    db_name: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", description="Name of the first database."
    )


def _not_yet(value: object) -> object:
    if value:
        raise ValueError("is not supported; leave it out")
    return value


Unsupported = Annotated[Any, AfterValidator(_not_yet), Field(description="Refused unless empty.")]
"""Fields whose absence would leave data less safe than the caller believes, so not ignored."""


Days = Annotated[int, Field(strict=True, ge=1, le=120)]


class AdditionalDestination(StrictForm):
    destination_id: DestinationId
    type: Literal["custom"] = "custom"
    retention_time: Days | None = None


class Wish(StrictForm):
    """Fields of backups and schedules alike: the type of backup, and where its copies go."""

    backup_type: BackupType
    compression_type: Compression | None = Field(
        default=None,
        validation_alias=AliasChoices("compressionType", "backupCompressionType"),
        description="Dumps only, `gz` when absent; ignored for snapshots. Schedules show it as "
        "`backupCompressionType`, which is understood too.",
    )
    custom_destination_id: DestinationId | None = Field(default=None, description="Dumps only.")
    additional_destinations: Annotated[list[AdditionalDestination], Field(max_length=20)] = Field(
        default=[], description="Snapshots only."
    )

    @field_validator("custom_destination_id", "additional_destinations")
    @classmethod
    def _fits_the_type(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("backup_type")
        required = (
            BackupType.DUMP if info.field_name == "custom_destination_id" else BackupType.SNAPSHOT
        )
        if value and kind is not None and kind is not required:
            raise ValueError(f"is for {required} backups only")
        return value


class BackupForm(Wish):
    backup_type: BackupType = BackupType.SNAPSHOT
    name: BackupName | None = None
    retention_time: Days | None = Field(
        default=None, description="Extension: days until it expires; never when absent."
    )
    max_rate: Annotated[int, Field(strict=True, ge=32, le=1_048_576)] | None = Field(
        default=None,
        description="Extension, snapshots only: KiB per second that the server is read with at"
        " most; as fast as it goes when absent. Not every engine can.",
    )

    @field_validator("max_rate")
    @classmethod
    def _of_snapshots_only(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("backup_type") is BackupType.DUMP:
            raise ValueError("is for snapshots only")
        return value


class SchedulingForm(StrictForm):
    """The instants of a schedule: every combination, in UTC. Day 0 is Monday."""

    interval: Interval
    minute: list[Annotated[int, Field(strict=True, ge=0, le=59)]]
    hour: list[Annotated[int, Field(strict=True, ge=0, le=23)]] | None = Field(
        default=None, validate_default=True, description="Daily and weekly schedules only."
    )
    day: list[Annotated[int, Field(strict=True, ge=0, le=6)]] | None = Field(
        default=None, validate_default=True, description="Weekly schedules only; 0 is Monday."
    )

    @field_validator("minute", "hour", "day")
    @classmethod
    def _fits_the_interval(cls, value: list[int] | None, info: ValidationInfo) -> list[int] | None:
        name, interval = info.field_name or "", info.data.get("interval")
        if interval is not None:
            arrays = {"minute": None, "hour": None, "day": None, name: value}
            problem = problems(interval, **arrays).get(f"scheduling.{name}")
            if problem is not None:
                raise ValueError(problem)
        return value and sorted(value)


class ScheduleForm(Wish):
    scheduling: SchedulingForm
    retention_time: Days


class SchedulePatch(StrictForm):
    """Other changes need another schedule: delete this one and create that."""

    retention_time: Days


class ImportForm(StrictForm):
    """Exactly one of `connectionString`, `importUrl` and (extension) `uploadId`."""

    name: BackupName | None = None
    connection_string: SecretStr | None = Field(
        default=None, description="A server to dump; its users stay where they are."
    )
    import_all_databases: bool | None = Field(
        default=None, description="With a connection string: all, or only the one it names."
    )
    import_url: SecretStr | None = Field(
        default=None, description="A dump to fetch; it may be compressed with gzip or zstd."
    )
    upload_id: Hex24 | None = Field(default=None, description="Extension: a finished upload.")
    compression_type: Compression | None = None
    custom_destination_id: DestinationId | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = [
            name
            for name in ("connectionString", "importUrl", "uploadId")
            if getattr(self, _SNAKE[name]) is not None
        ]
        if len(sources) != 1:
            which = " and ".join(sources) or "none of them"
            raise ValueError(
                f"exactly one of connectionString, importUrl and uploadId is wanted, not {which}"
            )
        if self.import_all_databases is not None and sources != ["connectionString"]:
            raise ValueError("importAllDatabases is for a connectionString only")
        return self

    @field_validator("import_url")
    @classmethod
    def _fetchable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                require_url(value.get_secret_value())
            except Invalid as error:
                raise ValueError(error.message) from error
        return value


_SNAKE = {
    "connectionString": "connection_string",
    "importUrl": "import_url",
    "uploadId": "upload_id",
}


class UploadForm(StrictForm):
    size: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="Bytes; more or fewer are refused."
    )
    sha256: Annotated[str, Matching(r"[0-9a-f]{64}", f"{0:064x}")] | None = None


class ForkSource(StrictForm):
    """A backup to start from: `addonId` with `backupId` (or `latest`), or `backupUid`."""

    project_id: Annotated[str, Field(max_length=60)] | None = None
    addon_id: Annotated[str, Field(max_length=60)] | None = None
    backup_id: Annotated[str, Field(max_length=60)] | None = None
    backup_uid: UUID | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        named = self.addon_id is not None and self.backup_id is not None
        rest = self.addon_id is None and self.backup_id is None and self.project_id is None
        if not (rest if self.backup_uid is not None else named):
            raise ValueError("needs addonId and backupId (projectId if elsewhere), or backupUid")
        return self


class AddonPatch(Form):
    description: Description | None = None
    tags: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)]
        | None
    ) = None
    connection_string: SecretStr | None = Field(
        default=None, description="Extension: the new address of an attached addon."
    )
    backup_schedules: list[ScheduleForm] | None = Field(
        default=None, description="All of the addon's schedules; those not named are deleted."
    )
    pitr_enabled: Annotated[bool, Field(strict=True)] | None = Field(
        default=None,
        description="Whether the server's log is archived, so that any instant can be restored;"
        " absent leaves it as it is.",
    )


class AddonForm(AddonPatch):
    """A managed addon needs `billing`; an attached one has a `connectionString` instead."""

    name: Name
    type: Annotated[str, Field(min_length=1, max_length=40)]
    version: Annotated[str, Field(min_length=1, max_length=40)] = "latest"
    billing: Billing | None = Field(default=None, validate_default=True)
    custom_credentials: CustomCredentials | None = None
    source: ForkSource | None = Field(
        default=None, description="Managed addons only: what to restore into it at once."
    )

    @field_validator("source")
    @classmethod
    def _into_our_own(cls, source: ForkSource | None, info: ValidationInfo) -> ForkSource | None:
        if source is not None and info.data.get("connection_string") is not None:
            raise ValueError("is for managed addons; restore into an attached one instead")
        return source

    @field_validator("billing")
    @classmethod
    def _billing_or_address(cls, billing: Billing | None, info: ValidationInfo) -> Billing | None:
        if billing is None and info.data.get("connection_string") is None:
            raise ValueError("is required (or connectionString, to attach a server of your own)")
        return billing


class PruneForm(StrictForm):
    share: Annotated[float, Field(gt=0, le=1, strict=True)] | None = Field(
        default=None, description="The most of the addon's backups that may go; 1 is all of them."
    )


_Reason = Annotated[str, Field(min_length=1, max_length=500)]


class SchedulePauseForm(StrictForm):
    reason: _Reason | None = Field(default=None, description="Why; it is shown with the schedule.")


class HoldForm(StrictForm):
    reason: _Reason = Field(description="Why nothing may go; everyone who looks reads it.")


class AuditForm(StrictForm):
    destination_id: DestinationId | None = Field(
        default=None, description="Only this one; else every store."
    )
    read_data: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Read every byte of the dumps and snapshots there, too."
    )


class ScaleForm(Form):
    """The plan of a managed addon. It does not limit the server."""

    deployment_plan: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    storage: Annotated[int, Field(ge=1)] | None = None
    replicas: Annotated[int, Field(ge=1, le=1)] | None = None


class NetworkForm(Form):
    tls_enabled: bool | None = None
    external_access_enabled: bool | None = None


class SecurityForm(Form):
    ip_policies: Annotated[list[Any], Field(max_length=0)] = Field(
        default=[], description="Who may connect is the machine's own firewall's to say: empty."
    )


class VersionForm(StrictForm):
    version: Annotated[str, Field(min_length=1, max_length=40)]


class Credentials(StrictForm):
    access_key: Annotated[str, Field(min_length=1, max_length=200)]
    secret_key: SecretStr
    bucket_name: Annotated[str, Field(min_length=3, max_length=63)]
    region: Annotated[str, Field(min_length=1, max_length=60)]
    endpoint: Annotated[str, Field(min_length=1, max_length=300)]


class DestinationForm(StrictForm, StoreSettings):
    name: DestinationName
    description: Description | None = None
    type: Literal["s3"]
    prefix: Annotated[str, Field(max_length=100), Matching(naming.DESTINATION_PREFIX, "backups/")]
    credentials: Credentials
    project_id: Annotated[str, Field(max_length=60)] | None = Field(
        default=None, description="Extension: the owner; none is the installation."
    )
    projects: Granted = None


class DestinationPatch(StrictForm, StoreSettings):
    name: DestinationName | None = None
    description: Description | None = None
    credentials: Credentials | None = None
    projects: Granted = None


class TokenForm(StrictForm):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: Annotated[str, Field(min_length=1, max_length=60)]
    projects: list[Annotated[str, Field(max_length=60)]] | None = None
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None


RoleName = Annotated[str, Field(min_length=3, max_length=39), Matching(naming.NAME, "Operator")]


class RoleForm(StrictForm):
    name: RoleName
    permissions: Annotated[list[str], Field(min_length=1)]


class RolePatch(StrictForm):
    """Only what is sent is changed; the id stays."""

    name: RoleName | None = None
    permissions: Annotated[list[str], Field(min_length=1)] | None = None
