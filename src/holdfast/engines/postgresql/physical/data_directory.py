"""Makes a data directory that a local server can run of the files of a snapshot.

Settings, host-based access and certificates of the copied server belong to where it came from. A
managed server keeps its own configuration files; those of the snapshot lie beside them for people
to read.
"""

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.contracts.snapshots import Finish
from holdfast.domain.errors import EvidenceMissing, ToolMissing
from holdfast.engines.postgresql.client import locale_names, tools
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.hosting.server import owner_of
from holdfast.engines.postgresql.physical import timelines
from holdfast.engines.postgresql.physical.snapshot import DATA, SPACES
from holdfast.kit import durable
from holdfast.kit.processes.hosting import give, mark

_CONFIGURATION = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")
_SET_ASIDE = (*_CONFIGURATION, "postgresql.auto.conf")
_SIGNALS = ("standby.signal", "recovery.signal")
_FROM_SNAPSHOT = ".from-snapshot"
_BEFORE = ".before"
_TUNING = frozenset(
    (
        "autovacuum_max_workers",
        "autovacuum_naptime",
        "autovacuum_vacuum_cost_delay",
        "autovacuum_vacuum_cost_limit",
        "autovacuum_vacuum_scale_factor",
        "checkpoint_completion_target",
        "checkpoint_timeout",
        "default_statistics_target",
        "effective_cache_size",
        "effective_io_concurrency",
        "idle_in_transaction_session_timeout",
        "jit",
        "lock_timeout",
        "log_min_duration_statement",
        "maintenance_work_mem",
        "max_connections",
        "max_locks_per_transaction",
        "max_parallel_maintenance_workers",
        "max_parallel_workers",
        "max_parallel_workers_per_gather",
        "max_prepared_transactions",
        "max_replication_slots",
        "max_wal_senders",
        "max_wal_size",
        "max_worker_processes",
        "min_wal_size",
        "random_page_cost",
        "seq_page_cost",
        "shared_buffers",
        "statement_timeout",
        "temp_buffers",
        "wal_buffers",
        "wal_compression",
        "wal_level",
        "work_mem",
    )
)
"""Settings that cannot harm the machine. Its operator has to set all others again."""
_NEEDED_HEADING = "\n# Holdfast: what the restored data needs\n"
_DEFAULT_SEGMENT_BYTES = 16 << 20


def arrange(tools_dir: Path, tree: Path, server: LocalServer) -> None:
    """Makes the files of a snapshot a data directory for `server`. Repeatable.

    The server's own configuration is copied from its live directory, as far as it is there:
    Debian's servers have theirs elsewhere.
    """
    data = tree / DATA
    if not (data / "PG_VERSION").is_file():
        raise EvidenceMissing("the snapshot holds no PostgreSQL data directory")
    for name in (*_SIGNALS, SETTLED):
        (data / name).unlink(missing_ok=True)
    for name in _SET_ASIDE:
        copied = data / name
        if copied.exists() and not (data / f"{name}{_FROM_SNAPSHOT}").exists():
            durable.move(copied, data / f"{name}{_FROM_SNAPSHOT}")
    for name in _CONFIGURATION if server.ours else _SET_ASIDE:
        if server.ours or (server.directory / name).exists():
            shutil.copyfile(server.directory / name, data / name)
    conf = data / ("postgresql.conf" if server.ours else "postgresql.auto.conf")
    _write_needed(conf, needed_settings(tools.server(tools_dir, server.version), data))
    _map_tablespaces(tree, data)
    # The server's user owns its data, and only that user may enter it.
    tree.chmod(0o711)
    data.chmod(0o700)
    spaces = tree / SPACES
    if spaces.is_dir():
        spaces.chmod(0o711)
    for folder in (data, spaces):
        give(folder, owner_of(server))


def settle(server: LocalServer, confine: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Confines a data directory whose superuser was the addon's owner.

    Settings that he wrote with ALTER SYSTEM may name programs: only those that tune are kept.
    `confine` boots the server and changes its roles.
    """
    auto = server.directory / "postgresql.auto.conf"
    if auto.exists():
        text = auto.read_text(errors="surrogateescape")
        tuning = "".join(
            line
            for line in text.splitlines(keepends=True)
            if line.startswith("#") or line.partition("=")[0].strip() in _TUNING
        )
        if tuning != text:
            _replace(auto.with_name(f"{auto.name}{_BEFORE}"), text)
            _replace(auto, tuning)
    left = confine()
    mark(server.directory / SETTLED)
    return left


def _replace(path: Path, text: str) -> None:
    """Writes the file whole or not at all, with the owner of its directory."""
    state = path.parent.stat()
    durable.write(path, text, owner=(state.st_uid, state.st_gid))


def obstacles(tools_dir: Path, server: LocalServer, manifest: Mapping[str, Any]) -> list[str]:
    """A physical copy runs under its own major version only, and on its own kind of processor."""
    major, own_major = str(manifest["facts"]["major"]), server.version.partition(".")[0]
    problems = (
        []
        if major == own_major
        else [f"the snapshot is of PostgreSQL {major}, the addon {own_major}"]
    )
    machine = manifest["facts"]["machine"]
    if machine != platform.machine():
        problems.append(f"the snapshot is of a {machine}, this is a {platform.machine()}")
    for name in locale_names.not_installed(manifest["facts"].get("locales", ())):
        remedy = locale_names.install_hint(name) or "restore a dump of it, with another locale"
        problems.append(
            f"the snapshot needs the locale {name}, which is not on this machine; {remedy}"
        )
    try:
        tools.server(tools_dir, server.version)
    except ToolMissing as error:
        problems.append(error.message)
    return problems if server.ours else [*problems, *_port_obstacles(server)]


def _port_obstacles(server: LocalServer) -> list[str]:
    """Does the directory belong to the server at the addon's address, as its lock file says?"""
    try:
        lines = (server.directory / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []  # it is not running, so nothing contradicts the directory
    port = lines[3].strip() if len(lines) > 3 else "?"
    if port == str(server.port):
        return []
    return [
        f"the server in {server.directory} listens on port {port}, the addon's on {server.port}"
    ]


def needed_settings(chosen: ToolSet, data: Path) -> Mapping[str, str]:
    """Settings without which a server does not start from this data."""
    control = timelines.control_data(chosen, data)
    try:
        segment = int(control["Bytes per WAL segment"])
        prepared = int(control["max_prepared_xacts setting"])
    except (KeyError, ValueError) as error:
        raise EvidenceMissing(f"pg_control cannot be read: {error}") from error
    settings: dict[str, str] = {}
    if segment > _DEFAULT_SEGMENT_BYTES:
        settings["min_wal_size"] = f"{2 * segment >> 20}MB"
        settings["max_wal_size"] = f"{64 * segment >> 20}MB"
    if prepared:
        settings["max_prepared_transactions"] = str(prepared)
    return settings


def _write_needed(conf: Path, settings: Mapping[str, str]) -> None:
    """Appends needed settings to the server's own; replaces those of an earlier restore."""
    present = conf.read_text(errors="surrogateescape") if conf.exists() else ""
    own = present.partition(_NEEDED_HEADING)[0]
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    text = own + (_NEEDED_HEADING + "".join(lines) if lines else "")
    conf.write_text(text, errors="surrogateescape")


def _map_tablespaces(tree: Path, data: Path) -> None:
    """Recovery makes links from `tablespace_map`: they shall lead to the files of the snapshot."""
    spaces = tree / SPACES
    names = sorted(path.name for path in spaces.iterdir()) if spaces.is_dir() else []
    links = data / "pg_tblspc"
    links.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        link = links / name
        if link.is_symlink():
            link.unlink()
    lines = [f"{name} {spaces / name}\n" for name in names]
    (data / "tablespace_map").unlink(missing_ok=True)
    if lines:
        (data / "tablespace_map").write_text("".join(lines))


def finish(directory: PurePath, facts: Mapping[str, Any]) -> Finish:
    """Tablespaces lie beside the data; recovery finds them by absolute paths."""
    spaces = [f"{oid} {directory / SPACES / oid}\n" for oid in sorted(facts["tablespaces"])]
    texts, appended = timelines.recovery_files(facts)
    return Finish(
        texts={
            **{f"{DATA}/{name}": text for name, text in texts.items()},
            **({f"{DATA}/tablespace_map": "".join(spaces)} if spaces else {}),
        },
        appended={f"{DATA}/{name}": text for name, text in appended.items()},
        modes={DATA: 0o700},  # the server refuses anything wider
        steps=[
            "Stop the server.",
            f"Give the files to its user: chown -R postgres: {directory}",
            f"Make {directory / DATA} its data directory: move it there, or set data_directory.",
            "Settings outside the data directory (as Debian has them) stay as they are; look at"
            " postgresql.auto.conf in it, which came with the snapshot.",
            "If an archive may hold timelines that Holdfast does not know of, set restore_command"
            " in postgresql.auto.conf to what fetches from it; leave the other recovery settings.",
            "Start the server: it recovers by itself from the WAL in pg_wal, begins a new timeline"
            " and removes the recovery settings from postgresql.auto.conf.",
        ],
    )
