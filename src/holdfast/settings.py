"""Reads everything an operator can choose, from the environment and from files.

Values from the command line win over `HOLDFAST_*` variables, which win over the defaults.
"""

import difflib
import json
import os
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from holdfast.domain.addon import Control
from holdfast.domain.alarms.messages import Signals
from holdfast.domain.errors import Invalid
from holdfast.domain.schedules.schedule import Interval
from holdfast.kit import durable, ids
from holdfast.kit.seal import Secret, new_key

DEFAULT_PORT = 8585


def _flag(value: object) -> object:
    return {"1": True, "true": True, "0": False, "false": False}.get(str(value).lower(), value)


Flag = Annotated[bool, BeforeValidator(_flag), Strict()]
SecretText = Annotated[
    Secret, BeforeValidator(lambda value: Secret(value) if isinstance(value, str) else value)
]


class Settings(BaseSettings):
    """All settings of a process. Durations in seconds, unless their description says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_",
        env_ignore_empty=True,
        frozen=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(Path("holdfast-data"), description="where all state lives")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(DEFAULT_PORT, description="port to listen on")
    database_url: str = Field("", description="catalogue; empty: SQLite in data_dir")
    dashboard: Flag = Field(True, description="serve the dashboard's pages beside the API")
    public_url: str = Field("", description="how clients reach us, for links; empty: as they did")
    team: str = Field("", description="team id; empty: any id means this team")
    queue: str = Field("dbos", description="durable queue: dbos or table")
    store_file: str = Field("", description="JSON of the platform store; empty: local")
    attached_file: str = Field(
        "", description="JSON of the attached addons whose servers may be stopped to restore"
    )
    tools_dir: str = Field("", description="client tools; empty: tools in data_dir")
    sqlite_roots: str = Field(
        "",
        description="directories of SQLite files, with colons between; empty: none but the sample"
        " that set-up makes",
    )
    certificate_roots: str = Field(
        "",
        description="directories of certificates and keys that connection strings may name, with"
        " colons between; empty: certificates in data_dir",
    )
    concurrency: int = Field(2, description="operations at a time per worker")
    drills: int = Field(1, ge=0, description="drills at a time per worker; 0: none")
    drill_hours: float = Field(24.0, description="longest time a drill may take")
    queue_every: float = Field(1.0, description="seconds between two looks for work to begin")
    beat: float = Field(1.0, description="seconds between heartbeats")
    dead: float = Field(30.0, description="silence after which a worker is dead")
    stall: float = Field(300.0, description="no bytes for this long ends a child")
    grace: float = Field(20.0, description="how long a drain waits for work")
    catch_up: float = Field(168.0, description="hours: what was missed for longer is not caught up")
    retention_hourly: int = Field(7, description="days: longest retention of hourly schedules")
    retention_daily: int = Field(60, description="days: longest retention of daily schedules")
    retention_weekly: int = Field(120, description="days: longest retention of weekly schedules")
    prune_share: float = Field(
        0.25, description="of an addon's backups: the most one prune run marks"
    )
    prune_grace: float = Field(24.0, description="hours between marking a backup and deleting it")
    prune_every: float = Field(3600.0, description="seconds between prune runs of an addon")
    audit_every: float = Field(
        24.0, description="hours between inventories of a store; 0: when asked"
    )
    read_within: float = Field(
        30.0, description="days in which the bytes of every backup are read once; 0: when asked"
    )
    settle: float = Field(
        3600.0, description="seconds a clock must have gone steadily before anything ages out by it"
    )
    history: int = Field(400, description="days the rows of deleted backups are kept")
    import_networks: str = Field(
        "", description="private networks that imports by URL may read from: 10.0.0.0/8, ..."
    )
    import_bytes: int = Field(1 << 40, description="largest file that is fetched or uploaded")
    import_hours: float = Field(24.0, description="longest time a fetch may take")
    server_uids: str = Field(
        "61184-65519", description="uids of managed servers, one for each addon, where we are root"
    )
    watch_every: float = Field(
        5.0, description="seconds between two looks at what is wrong; hosts and stores: 3, 6 times"
    )
    heartbeat_url: SecretText | None = Field(
        None,
        description="pinged each minute while schedulers are in order, else its /fail; say"
        " https://hc-ping.com/...",
    )
    heartbeat_signals: Signals = Field(
        Signals.WORDS, description="its /fail in words, or the exit-status: /0, /10, /1"
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: str = Field("auto", description="json, text, or auto by terminal")
    mask_secrets: Flag = Field(False, description="never show a destination's secrets")
    trusted_proxies: str = Field(
        "", description="networks whose X-Forwarded-For and -Proto are believed: 10.0.0.2, ..."
    )
    rate_limit: int = Field(3_600_000, description="requests per token and hour")
    address_limit: int = Field(
        1200, description="requests without a valid token per address and minute"
    )
    guess_limit: int = Field(30, description="wrong tokens per address and minute")
    connections: int = Field(1000, description="connections at a time")
    connections_per_address: int = Field(
        500, description="of these from one address; trusted proxies do not count"
    )
    tails: int = Field(200, description="live logs (WebSockets) at a time")
    tails_per_token: int = Field(20, description="of these with one token")
    head_timeout: float = Field(
        15.0, description="seconds in which a request's headers must be here"
    )
    body_timeout: float = Field(
        30.0, description="seconds in which some of an awaited body must come"
    )
    idle_timeout: float = Field(15.0, description="seconds an unused connection is kept open")
    reader_timeout: float = Field(60.0, description="seconds a client may leave an answer unread")
    oidc_issuer: str = Field("", description="single sign-on: the provider's issuer; empty: none")
    oidc_client_id: str = Field("", description="who we are to the provider")
    oidc_client_secret: SecretText | None = Field(
        None, description="what proves it; none for a public client"
    )
    oidc_title: str = Field("", description="name of the provider on the page; empty: its host")
    oidc_scopes: str = Field("openid profile email", description="what is asked for")
    oidc_name_claim: str = Field("preferred_username", description="claim of a user's name")
    oidc_groups_claim: str = Field("groups", description="claim of a user's groups; a.b leads in")
    oidc_roles: str = Field(
        "", description="roles of groups: dba=admin; staff=default:shop,web; *=default"
    )
    oidc_only: Flag = Field(False, description="allow no other sign-in to the dashboard")
    tls_certificate: str = Field(
        "", description="PEM file, with intermediate certificates; empty: no TLS"
    )
    tls_key: str = Field("", description="PEM file of its private key")
    metrics_port: int = Field(
        0, description="port of `GET /metrics` without a token, in every process; 0: none"
    )
    metrics_networks: str = Field(
        "127.0.0.0/8, ::1/128", description="networks that may read there: 10.0.0.0/8, ..."
    )
    owner_token: SecretText | None = Field(None, description="first owner token")
    master_key: SecretText | None = Field(None, description="64 hex: seals secrets")

    @property
    def catalog_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'holdfast.db'}"

    @property
    def caps(self) -> dict[Interval, int]:
        """The longest retention of a schedule, in days."""
        return {
            Interval.HOURLY: self.retention_hourly,
            Interval.DAILY: self.retention_daily,
            Interval.WEEKLY: self.retention_weekly,
        }

    @property
    def file_roots(self) -> list[Path]:
        """Directories of SQLite files, absolute and resolved. Raises Invalid for a missing one."""
        roots = [Path(text) for text in self.sqlite_roots.split(":") if text]
        for root in roots:
            if not root.is_dir():
                problem = f"{root} is no directory"
                raise Invalid(problem, {"sqlite_roots": problem})
        return [root.resolve() for root in roots]

    @property
    def certificate_directories(self) -> list[Path]:
        """Directories of certificates, which need not exist."""
        named = [Path(text).absolute() for text in self.certificate_roots.split(":") if text]
        return named or [self.data_dir / "certificates"]

    @property
    def server_uid_range(self) -> range:
        """The uids of managed servers. Raises Invalid for a setting that is no range."""
        first, _, last = self.server_uids.partition("-")
        problem = "must be two numbers above 0 with a minus between, the smaller first"
        if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last)):
            raise Invalid(f"server_uids {problem}", {"server_uids": problem})
        return range(int(first), int(last) + 1)

    @property
    def tools_path(self) -> Path:
        return Path(self.tools_dir) if self.tools_dir else self.data_dir / "tools"


def load(chosen: Mapping[str, Any] | None = None) -> Settings:
    """Reads the settings, of which the command line has `chosen` some. Raises Invalid, also for a
    variable that is none of ours: it may be a misspelt promise."""
    _require_known(os.environ)
    values = {name: value for name, value in (chosen or {}).items() if value is not None}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        kind = Settings.model_fields[name].annotation
        variable = f"HOLDFAST_{name.upper()}"
        if kind is Signals:
            problem = f"{variable} must be {' or '.join(Signals)}"
        else:
            problem = f"{variable} must be a {getattr(kind, '__name__', kind)}"
        raise Invalid(problem, {variable: problem}) from error
    return settings.model_copy(update={"data_dir": settings.data_dir.resolve()})


_PREFIX = "HOLDFAST_"
_OF_THE_CLI = frozenset({"HOST", "TOKEN", "PROJECT", "ADDON", "CONFIG"})
"""Variables of `holdfast` as a client, which may be set where a server starts."""


def _require_known(names: Iterable[str]) -> None:
    known = {name.upper() for name in Settings.model_fields} | _OF_THE_CLI
    for variable in sorted(names):
        name = variable.removeprefix(_PREFIX)
        if name == variable or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {_PREFIX}{near[0]}?" if near else ""
        problem = f"{variable} is no setting of Holdfast{hint} (docs/settings.md lists them)"
        raise Invalid(problem, {variable: problem})


def prepare_data_dir(settings: Settings) -> None:
    """Makes the directories, which other users may pass (managed servers do) but not list.

    Everything that this process creates from here on is private to its user.
    """
    os.umask(0o077)
    for directory in (settings.data_dir, settings.data_dir / "addons"):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)


def find_master_key(settings: Settings) -> bytes | None:
    """Returns the 32 bytes that seal secrets, from the setting or its file; None without any."""
    if settings.master_key is not None:
        return _key_from(settings.master_key.reveal())
    path = settings.data_dir / "master.key"
    return _key_from(path.read_text().strip()) if path.exists() else None


def make_master_key(settings: Settings) -> bytes:
    """Makes a master key and stores it next to the data it protects."""
    key = new_key()
    write_private(settings.data_dir / "master.key", key.hex())
    return key


def _key_from(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Invalid("the master key must be 64 hex digits")
    return key


def node_id(settings: Settings) -> str:
    """Returns this machine's id, by which work that is bound to it finds it."""
    path = settings.data_dir / "node.id"
    if not path.exists():
        name = "".join(c if c.isalnum() else "-" for c in socket.gethostname().lower())
        host = name.strip("-")[:40] or "host"
        write_private(path, f"{host}-{ids.hex24()[:8]}")
    return path.read_text().strip()


def platform_store(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Returns kind and options of the platform's own store."""
    if not settings.store_file:
        return "local", {"directory": str(settings.data_dir / "store")}
    try:
        options = json.loads(Path(settings.store_file).read_text())
        return options.pop("kind"), options
    except (OSError, ValueError, KeyError) as error:
        problem = f"store_file {settings.store_file} must be JSON with a `kind`: {error}"
        raise Invalid(problem, {"store_file": problem}) from error


class _Control(BaseModel):
    """One addon in the operator's file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    dataDirectory: str = Field(pattern="^/.+")  # noqa: N815 - a key of the file
    stop: list[str] = Field(min_length=1)
    start: list[str] = Field(min_length=1)


_CONTROLS = TypeAdapter(dict[str, _Control])


def attached_controls(settings: Settings) -> dict[str, Control]:
    """Returns controls by `project/addon`. The file has commands, so others may not write it."""
    if not settings.attached_file:
        return {}
    path = Path(settings.attached_file)
    try:
        state = path.stat()
        if state.st_uid not in (0, os.geteuid()) or state.st_mode & 0o022:
            raise ValueError("only root or this process's own user may be able to write it")
        controls = _CONTROLS.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        problem = f"attached_file {path} cannot be used: {error}"
        raise Invalid(problem, {"attached_file": problem}) from error
    return {
        name: Control(Path(control.dataDirectory), control.stop, control.start)
        for name, control in controls.items()
    }


def tls_files(settings: Settings) -> tuple[str, str] | None:
    """Returns certificate and key. Raises Invalid for one alone, or a key that others may read."""
    names = {"tls_certificate": settings.tls_certificate, "tls_key": settings.tls_key}
    if not any(names.values()):
        return None
    for name, value in names.items():
        if not value:
            raise Invalid(f"{name} is missing", {name: "is needed beside the other one"})
        if not os.access(value, os.R_OK):
            raise Invalid(f"{name} {value} cannot be read", {name: "cannot be read"})
    if Path(settings.tls_key).stat().st_mode & 0o007:
        problem = f"tls_key {settings.tls_key} can be read by everybody"
        raise Invalid(problem, {"tls_key": problem})
    return settings.tls_certificate, settings.tls_key


def traces_exporter(known: Collection[str]) -> str | None:
    """Returns the exporter that OpenTelemetry's ordinary variables ask for, one of `known`; None:
    none. Raises Invalid for another one, and for a protocol other than OTLP over HTTP."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    implied = "otlp" if any(map(os.environ.get, endpoints)) else "none"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or implied
    if exporter == "none":
        return None
    if exporter not in known:
        problem = f"must be one of {', '.join(known)}, none; it is {exporter!r}"
        raise Invalid(f"OTEL_TRACES_EXPORTER {problem}", {"OTEL_TRACES_EXPORTER": problem})
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(name, "")
        if protocol not in ("", "http/protobuf"):
            problem = f"must be http/protobuf, as collectors take it on port 4318, not {protocol!r}"
            raise Invalid(f"{name} {problem}", {name: problem})
    return exporter


def write_private(path: Path, text: str) -> None:
    """Writes a file, whole or not at all, that only we can read; an existing one is kept."""
    durable.create(path, f"{text}\n")
