"""Answers about addons and their types."""

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from holdfast.views.shapes.base import Document, Shape
from holdfast.views.shapes.projects import Cluster, SpecType
from holdfast.views.shapes.schedules import ScheduleView


class Features(Shape):
    backups_dump: bool
    custom_db_name: bool
    fork_addon: bool
    import_dump: bool
    import_live: bool
    scale_replicas: bool
    tls: bool
    external_access: bool
    backups_snapshot: bool
    managed: bool
    pitr: bool

    model_config = ConfigDict(
        alias_generator=lambda name: to_camel(name).replace("customDbName", "customDBName"),
        populate_by_name=True,
    )


class Choice(Shape):
    options: list[int]
    default: int


class Resources(Shape):
    storage: Choice
    replicas: Choice


class AddonType(Shape):
    type: str
    name: str
    description: str
    features: Features
    versions: list[str]
    major: list[str]
    resources: Resources
    missing: str | None = None


class AddonTypes(Shape):
    addon_types: list[AddonType]


class AddonProbeView(Shape):
    """What a server said of itself. `bytes`: of all its user databases together."""

    flavour: str
    version: str
    bytes: str


class SampleView(Shape):
    """Where a database is that was made up to try things with."""

    connection_string: str


class AddonItem(Shape):
    id: str
    name: str
    app_id: str
    tags: list[str]
    description: str | None = None
    spec: SpecType
    status: str
    managed: bool


class AddonList(Shape):
    addons: list[AddonItem]


class Server(Shape):
    host: str
    port: int
    database: str
    user: str


class Deployment(Shape):
    replicas: int
    storage_class: str
    storage_size: int
    plan_id: str
    region: str


class Networking(Shape):
    tls_enabled: bool
    external_access_enabled: bool


class AddonConfig(Shape):
    version_tag: str
    lifecycle_status: str
    deployment: Deployment
    networking: Networking


class AddonSpec(SpecType):
    config: AddonConfig


class AddonView(AddonItem):
    created_at: str
    updated_at: str
    cluster: Cluster
    spec: AddonSpec  # pyright: ignore[reportIncompatibleVariableOverride]
    type: str
    version: str
    billing: Document | None = None
    source: Document | None = None
    address: Server
    backup_schedules: list[ScheduleView]
    reason: str | None = None


class MetricInfo(Shape):
    metric_id: str
    metric_unit: str


class MetricSource(Shape):
    container_id: str


class MetricPoint(Shape):
    """`ts`: an ISO 8601 instant."""

    value: float
    ts: str


class MetricSeries(Shape):
    metadata: MetricSource
    data: list[MetricPoint]


class MetricView(Shape):
    """One metric of a managed server; `values` is empty when nothing is known of that time."""

    metric_info: MetricInfo
    values: list[MetricSeries]


class CredentialsView(Shape):
    secrets: dict[str, str]
    envs: dict[str, str]


class Upgrade(Shape):
    version: str
    type: str


class UpgradeState(Shape):
    status: str


class PastUpgrade(Shape):
    upgrade_id: str
    status: UpgradeState
    created_at: str
    upgrade_type: str
    previous_version: str
    new_version: str
    completed_at: str | None = None


class VersionView(Shape):
    version: str
    upgrade_to: list[Upgrade]
    lifecycle_status: str
    upgrade_history: list[PastUpgrade]


class Container(Shape):
    name: str
    created_at: int
    updated_at: int
    status: str


class Containers(Shape):
    containers: list[Container]


class PitrWindow(Shape):
    """The window that ends last; without one there are no timestamps."""

    has_valid_window: bool
    start_timestamp: str | None = None
    end_timestamp: str | None = None


class ArchiveWindow(Shape):
    start_timestamp: str
    end_timestamp: str


class ArchiveGap(ArchiveWindow):
    reason: str


class OpenArchiveGap(Shape):
    """Nothing after `startTimestamp` can be restored, until a snapshot begins another window."""

    start_timestamp: str
    reason: str


class ArchiveView(Shape):
    """`bases`: when the snapshots were consistent that the log is replayed onto, the newest 200.
    `behindBytes` are not stored yet; `slackBytes` the server keeps at most before it lets go.
    `storedUntil`: all that was acknowledged before is stored. `oldLogGoesAt`: then the oldest log,
    which no promised instant needs, is removed; `oldLogStays` is why it is not for now."""

    enabled: bool
    status: str
    days: int
    interval_seconds: int
    unbounded: bool
    slot: str
    windows: list[ArchiveWindow]
    gaps: list[ArchiveGap]
    bases: list[str]
    reason: str | None = None
    stored_until: str | None = None
    checked_at: str | None = None
    behind_bytes: int | None = None
    slack_bytes: int | None = None
    open_gap: OpenArchiveGap | None = None
    old_log_goes_at: str | None = None
    old_log_stays: str | None = None


class Marked(Shape):
    """A named point in the log; `timestamp` is the server's clock right behind it."""

    name: str
    position: str
    timestamp: str


class TableChangeView(Shape):
    """Rows that a commit touched. `removed`: the table was dropped, emptied or rewritten; `table`
    is `*` for a whole database, and the number of a file where no name was noted."""

    database: str
    table: str
    inserted: int
    updated: int
    deleted: int
    removed: bool


class ChangeView(Shape):
    """A commit. `isWhole`: all rows are counted; else it began before the log that was read.
    `line` is needed to go there and is left out on the newest line. With a `name` it is no commit
    but a named point."""

    timestamp: str
    position: str
    tables: list[TableChangeView]
    defines: bool
    is_whole: bool
    transaction: str | None = None
    statement: str | None = None
    name: str | None = None
    line: str | None = None


class Changes(Shape):
    """What was committed from `startTimestamp` to `endTimestamp`, which lie within the window."""

    start_timestamp: str
    end_timestamp: str
    changes: list[ChangeView]
