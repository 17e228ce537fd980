"""The only reader of the environment and of files: everything an operator can choose.

Values given on the command line win over `HOLDFAST_*` variables, which win over the defaults.
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from holdfast.domain.addon import Control
from holdfast.domain.errors import Invalid
from holdfast.domain.schedules.schedule import Interval
from holdfast.kit import durable, ids
from holdfast.kit.seal import Secret, new_key

DEFAULT_PORT = 8585


@dataclass(frozen=True)
class Settings:
    """One frozen object per process. Durations in seconds, unless its help says otherwise."""

    data_dir: Path = field(
        default=Path("holdfast-data"), metadata={"help": "where all state lives"}
    )
    host: str = field(default="127.0.0.1", metadata={"help": "address to listen on"})
    port: int = field(default=DEFAULT_PORT, metadata={"help": "port to listen on"})
    database_url: str = field(default="", metadata={"help": "catalogue; empty: SQLite in data_dir"})
    public_url: str = field(
        default="", metadata={"help": "how clients reach us, for links; empty: as they did"}
    )
    team: str = field(default="", metadata={"help": "team id; empty: any id means this team"})
    queue: str = field(default="dbos", metadata={"help": "durable queue: dbos or table"})
    store_file: str = field(
        default="", metadata={"help": "JSON of the platform store; empty: local"}
    )
    attached_file: str = field(
        default="",
        metadata={"help": "JSON of the attached addons whose servers may be stopped to restore"},
    )
    tools_dir: str = field(default="", metadata={"help": "client tools; empty: tools in data_dir"})
    sqlite_roots: str = field(
        default="",
        metadata={"help": "directories of SQLite files, with colons between; empty: none"},
    )
    certificate_roots: str = field(
        default="",
        metadata={
            "help": "directories of certificates and keys that connection strings may name, with"
            " colons between; empty: certificates in data_dir"
        },
    )
    concurrency: int = field(default=2, metadata={"help": "operations at a time per worker"})
    queue_every: float = field(
        default=1.0, metadata={"help": "seconds between two looks for work to begin"}
    )
    beat: float = field(default=1.0, metadata={"help": "seconds between heartbeats"})
    dead: float = field(default=30.0, metadata={"help": "silence after which a worker is dead"})
    stall: float = field(default=300.0, metadata={"help": "no bytes for this long ends a child"})
    grace: float = field(default=20.0, metadata={"help": "how long a drain waits for work"})
    catch_up: float = field(
        default=168.0, metadata={"help": "hours: what was missed for longer is not caught up"}
    )
    retention_hourly: int = field(
        default=7, metadata={"help": "days: longest retention of hourly schedules"}
    )
    retention_daily: int = field(
        default=60, metadata={"help": "days: longest retention of daily schedules"}
    )
    retention_weekly: int = field(
        default=120, metadata={"help": "days: longest retention of weekly schedules"}
    )
    prune_share: float = field(
        default=0.25, metadata={"help": "of an addon's backups: the most one prune run marks"}
    )
    prune_grace: float = field(
        default=24.0, metadata={"help": "hours between marking a backup and deleting it"}
    )
    prune_every: float = field(
        default=3600.0, metadata={"help": "seconds between prune runs of an addon"}
    )
    audit_every: float = field(
        default=24.0, metadata={"help": "hours between inventories of a store; 0: when asked"}
    )
    read_within: float = field(
        default=30.0,
        metadata={"help": "days in which the bytes of every backup are read once; 0: when asked"},
    )
    settle: float = field(
        default=3600.0,
        metadata={"help": "seconds a clock must have gone steadily before anything ages out by it"},
    )
    history: int = field(
        default=400, metadata={"help": "days the rows of deleted backups are kept"}
    )
    import_networks: str = field(
        default="",
        metadata={"help": "private networks that imports by URL may read from: 10.0.0.0/8, ..."},
    )
    import_bytes: int = field(
        default=1 << 40, metadata={"help": "largest file that is fetched or uploaded"}
    )
    import_hours: float = field(default=24.0, metadata={"help": "longest time a fetch may take"})
    server_uids: str = field(
        default="61184-65519",
        metadata={"help": "uids of managed servers, one for each addon, where we are root"},
    )
    log_level: str = field(default="INFO", metadata={"help": "DEBUG, INFO, WARNING or ERROR"})
    log_format: str = field(default="auto", metadata={"help": "json, text, or auto by terminal"})
    mask_secrets: bool = field(
        default=False, metadata={"help": "never show a destination's secrets"}
    )
    trusted_proxies: str = field(
        default="",
        metadata={"help": "networks whose X-Forwarded-For and -Proto are believed: 10.0.0.2, ..."},
    )
    rate_limit: int = field(default=3_600_000, metadata={"help": "requests per token and hour"})
    address_limit: int = field(
        default=1200,
        metadata={"help": "requests without a valid token per address and minute"},
    )
    guess_limit: int = field(default=30, metadata={"help": "wrong tokens per address and minute"})
    connections: int = field(default=1000, metadata={"help": "connections at a time"})
    connections_per_address: int = field(
        default=500, metadata={"help": "of these from one address; trusted proxies do not count"}
    )
    tails: int = field(default=200, metadata={"help": "live logs (WebSockets) at a time"})
    tails_per_token: int = field(default=20, metadata={"help": "of these with one token"})
    head_timeout: float = field(
        default=15.0, metadata={"help": "seconds in which a request's headers must be here"}
    )
    body_timeout: float = field(
        default=30.0, metadata={"help": "seconds in which some of an awaited body must come"}
    )
    idle_timeout: float = field(
        default=15.0, metadata={"help": "seconds an unused connection is kept open"}
    )
    reader_timeout: float = field(
        default=60.0, metadata={"help": "seconds a client may leave an answer unread"}
    )
    tls_certificate: str = field(
        default="", metadata={"help": "PEM file, with intermediate certificates; empty: no TLS"}
    )
    tls_key: str = field(default="", metadata={"help": "PEM file of its private key"})
    owner_token: Secret | None = field(default=None, metadata={"help": "first owner token"})
    master_key: Secret | None = field(default=None, metadata={"help": "64 hex: seals secrets"})

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
        """Absolute, with links in their own names followed. Invalid for what is no directory."""
        roots = [Path(text) for text in self.sqlite_roots.split(":") if text]
        for root in roots:
            if not root.is_dir():
                problem = f"{root} is no directory"
                raise Invalid(problem, {"sqlite_roots": problem})
        return [root.resolve() for root in roots]

    @property
    def certificate_directories(self) -> list[Path]:
        """They need not exist."""
        named = [Path(text).absolute() for text in self.certificate_roots.split(":") if text]
        return named or [self.data_dir / "certificates"]

    @property
    def server_uid_range(self) -> range:
        """Inclusive in the setting. Invalid for what is no range of users without names."""
        first, _, last = self.server_uids.partition("-")
        problem = "must be two numbers above 0 with a minus between, the smaller first"
        if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last)):
            raise Invalid(f"server_uids {problem}", {"server_uids": problem})
        return range(int(first), int(last) + 1)

    @property
    def tools_path(self) -> Path:
        return Path(self.tools_dir) if self.tools_dir else self.data_dir / "tools"


def load(given: Mapping[str, Any] | None = None) -> Settings:
    """Raises Invalid naming the setting that makes no sense."""
    chosen = {name: value for name, value in (given or {}).items() if value is not None}
    for spec in fields(Settings):
        variable = f"HOLDFAST_{spec.name.upper()}"
        if spec.name not in chosen and os.environ.get(variable):
            chosen[spec.name] = _parse(variable, os.environ[variable], spec.type)
    chosen["data_dir"] = Path(chosen.get("data_dir", Settings.data_dir)).resolve()
    return Settings(**chosen)


def _parse(variable: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return {"1": True, "true": True, "0": False, "false": False}[text.lower()]
        if kind == Secret | None:
            return Secret(text)
        return kind(text)
    except (KeyError, ValueError) as error:
        problem = f"{variable} must be a {kind.__name__}"
        raise Invalid(problem, {variable: problem}) from error


def prepare_data_dir(settings: Settings) -> None:
    """Others may pass through (managed servers run as their own user) but not look.

    From here on, whatever this process creates is its own user's alone.
    """
    os.umask(0o077)
    for directory in (settings.data_dir, settings.data_dir / "addons"):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)


def find_master_key(settings: Settings) -> bytes | None:
    """The 32 bytes that seal secrets, as this machine was given them; None without any."""
    if settings.master_key is not None:
        return _key_from(settings.master_key.reveal())
    path = settings.data_dir / "master.key"
    return _key_from(path.read_text().strip()) if path.exists() else None


def make_master_key(settings: Settings) -> bytes:
    """A new one, kept next to the data it protects."""
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
    """This machine's share of the data directory: what is bound to it stays with it."""
    path = settings.data_dir / "node.id"
    if not path.exists():
        write_private(path, f"{_host()}-{ids.hex24()[:8]}")
    return path.read_text().strip()


def _host() -> str:
    kept = "".join(c if c.isalnum() else "-" for c in socket.gethostname().lower())
    return kept.strip("-")[:40] or "host"


def platform_store(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Kind and options of the platform's own store."""
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
    """By `project/addon`. The file names commands, so nobody else may be able to write it."""
    if not settings.attached_file:
        return {}
    path = Path(settings.attached_file)
    try:
        state = path.stat()
        if state.st_uid not in (0, os.geteuid()) or state.st_mode & 0o022:
            raise ValueError("only root or this process's own user may be able to write it")
        found = _CONTROLS.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        problem = f"attached_file {path} cannot be used: {error}"
        raise Invalid(problem, {"attached_file": problem}) from error
    return {
        name: Control(Path(each.dataDirectory), each.stop, each.start)
        for name, each in found.items()
    }


def tls_files(settings: Settings) -> tuple[str, str] | None:
    """Certificate and key. Raises Invalid for one without the other, or a key others may read."""
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


def write_private(path: Path, text: str) -> None:
    """Appears whole and readable by us alone, or not at all; an existing file is kept."""
    durable.create(path, f"{text}\n")
