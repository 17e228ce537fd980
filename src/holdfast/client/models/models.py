"""The objects of the v1 API as the client sees them.

Every field we use is named; fields that a newer server adds are kept. Only identifiers and states
are required, so that a server may leave out the rest. Secrets are `Secret`: a document masks them
unless asked to reveal them.
"""

from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
)
from pydantic.alias_generators import to_camel

from holdfast.kit.seal import Secret

MASK = "********"
GOOD = "completed"
ENDED = frozenset({GOOD, "aborted", "failed", "not-supported"})


def reveal_if_asked(secret: Secret, info: SerializationInfo) -> str:
    context: object = info.context
    return secret.reveal() if context == "reveal" else MASK


SecretText = Annotated[
    Secret,
    PlainValidator(lambda value: value if isinstance(value, Secret) else Secret(str(value))),
    PlainSerializer(reveal_if_asked),
]
Words = dict[str, object]


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True
    )

    def document(self, *, reveal: bool = False) -> Words:
        """Returns the JSON object as the server sent it; secrets are masked unless `reveal`."""
        context = "reveal" if reveal else "mask"
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, context=context)


class Document(Model):
    """An answer of which no fields are known."""


class Upload(Model):
    """`received` is the offset of the next byte; `part_size` the most bytes in one part."""

    id: str
    received: int
    part_size: int = 1 << 20


class About(Model):
    version: str = ""
    team: object = None
    node: object = None
    url: str | None = None


class Project(Model):
    id: str
    name: str = ""
    description: str | None = None
    created_at: str | None = None
    addons: list[Words] = []


class AddonType(Model):
    type: str
    name: str = ""
    description: str = ""
    features: dict[str, bool] = {}
    versions: list[str] = []
    major: list[str] = []


class AddonSpec(Model):
    type: str = ""
    config: Words | None = None


class Address(Model):
    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None


class Progress(Model):
    """The progress of a running operation. `expected` is absent when the size is unknown."""

    bytes: int = 0
    expected: int | None = None
    step: str | None = None


class Addon(Model):
    id: str
    name: str = ""
    status: str = ""
    spec: AddonSpec = AddonSpec()
    description: str | None = None
    created_at: str | None = None
    managed: bool | None = None
    address: Address | None = None
    reason: str | None = None
    progress: Progress | None = None


class Credentials(Model):
    secrets: dict[str, SecretText] = {}
    envs: dict[str, SecretText] = {}


class Version(Model):
    version: str = ""
    upgrade_to: list[Words] = []
    lifecycle_status: str | None = None
    upgrade_history: list[Words] = []


class Container(Model):
    name: str = ""
    status: str = ""
    created_at: int | None = None
    updated_at: int | None = None


class BackupConfig(Model):
    source: Words = {}
    size: str = "0"
    compression_type: str | None = None
    addon_version: str | None = None


class LastRestore(Model):
    status: str = ""
    restore_timestamp: str | None = None
    completed_at: str | None = None


class Copy(Model):
    """A backup in one store; without `destination_id` the server's own. `read_at` is when every
    byte of a dump was last read and verified."""

    destination_id: str | None = None
    status: str = ""
    reason: str | None = None
    next_try_at: str | None = None
    size: str = "0"
    expires_at: str | None = None
    read_at: str | None = None
    lost: str | None = None
    spoiled: str | None = None
    deletion: Words | None = None


class Backup(Model):
    id: str
    status: str
    name: str = ""
    uid: str | None = None
    backup_type: str | None = None
    created_at: str | None = None
    completed_at: str | None = None
    config: BackupConfig = BackupConfig()
    custom_destination_id: str | None = None
    last_restore: LastRestore | None = None
    retained: bool | None = None
    reason: str | None = None
    warnings: int = 0
    progress: Progress | None = None
    schedules: list[Words] = []
    expires_at: str | None = None
    copies: list[Copy] = []

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Restore(Model):
    id: str
    status: str
    backup_id: str | None = None
    restore_timestamp: str | None = None
    completed_at: str | None = None
    reason: str | None = None
    progress: Progress | None = None
    report: Words | None = None
    old_data_until: str | None = None
    undoes: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class StoreCredentials(Model):
    access_key: SecretText = Secret("")
    secret_key: SecretText = Secret("")
    bucket_name: str = ""
    region: str = ""
    endpoint: str = ""


class Destination(Model):
    id: str
    name: str = ""
    type: str = ""
    prefix: str | None = None
    project_id: str | None = None
    projects: list[str] | None = None
    description: str | None = None
    credentials: StoreCredentials | None = None
    max_parts: int | None = None
    equal_parts: bool | None = None
    checksum: str | None = None
    addressing: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class Owner(Model):
    id: str = ""
    name: str = ""


class DestinationBackup(Model):
    id: str
    uid: str | None = None
    status: str = ""
    name: str = ""
    project: Owner | None = None
    addon: Owner | None = None
    config: BackupConfig = BackupConfig()
    schedules: list[Words] = []
    expired_by: float | str | None = None
    created_at: str | None = None
    completed_at: str | None = None


class Finish(Model):
    """What a snapshot's files need in their directory: texts to write, texts to append and octal
    modes, by path; then steps for a person."""

    texts: dict[str, str] = {}
    appended: dict[str, str] = {}
    modes: dict[str, str] = {}
    steps: list[str] = []


class KitRepository(Model):
    project: str = ""
    addon: str = ""
    url: str = ""


class Probe(Model):
    """What became of writing, reading back, listing and deleting at a destination."""

    works: bool = False
    problem: str | None = None
    milliseconds: int = 0


class RecoveryKit(Model):
    """Opens every repository of a store without Holdfast."""

    passphrase: SecretText
    repositories: list[KitRepository] = []


class AdoptionProblem(Model):
    where: str = ""
    problem: str = ""


class AdoptedArchive(Model):
    project_id: str
    addon_id: str
    has_valid_window: bool = False
    start_timestamp: str | None = None
    end_timestamp: str | None = None


class Adopted(Model):
    """The backups and logs that were adopted; `next` when there are more."""

    archives: list[AdoptedArchive] = []
    backups: list[DestinationBackup] = []
    problems: list[AdoptionProblem] = []
    next: str | None = None


class Token(Model):
    """`token` is present only in the answer to its creation."""

    id: str
    name: str = ""
    role: str = ""
    projects: list[str] | None = None
    created_at: str | None = None
    expires_at: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None
    token: SecretText | None = Field(default=None)


class Role(Model):
    id: str
    name: str = ""
    permissions: list[str] = []
    built_in: bool = False


class User(Model):
    """`password_link` is present only in the answer that made it."""

    id: str
    name: str = ""
    role: str = ""
    projects: list[str] | None = None
    signs_in_with: list[str] = []
    passkeys: int = 0
    provider: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    disabled_at: str | None = None
    last_seen_at: str | None = None
    password_link: SecretText | None = Field(default=None)


class WebSession(Model):
    id: str
    by: str = ""
    user_id: str | None = None
    token_id: str | None = None
    method: str = ""
    address: str = ""
    program: str = ""
    created_at: str | None = None
    last_seen_at: str | None = None


class LogLine(Model):
    log: str
    ts: str = ""
    container_id: str = ""


class RestoreStarted(Model):
    restore_id: str
