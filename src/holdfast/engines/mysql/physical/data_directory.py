"""Turns a materialised snapshot into a data directory that our own server can run.

The copy of a running server becomes consistent when the log that came with it is applied. The tool
that made the copy does that, and it may be repeated after an interruption.
"""

import platform
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.contracts.snapshots import Finish
from holdfast.domain.errors import EvidenceMissing, ToolMissing
from holdfast.engines.mysql.client import tools
from holdfast.engines.mysql.client.tools import MARIADB, series
from holdfast.engines.mysql.hosting.server import COMPLETE, owner_of
from holdfast.engines.mysql.physical.snapshot import CHECKPOINTS, DATA, NOTE_PREFIXES, SUCCESS_LINE
from holdfast.kit.processes.hosting import give
from holdfast.kit.processes.process import Command, require_success, run

_PREPARE_SECONDS = 24 * 3600
_PREPARED_TYPES = ("log-applied", "full-prepared")
_REPLICATION_FILES = ("master.info", "relay-log.info", "multi-master.info", "auto.cnf")


def arrange(tools_dir: Path, tree: Path, server: LocalServer) -> None:
    """Applies the log and gives the files to the server's user. Repeatable."""
    data = tree / DATA
    if not is_prepared(data):
        tool_set = tools.server(tools_dir, server.version)
        if tool_set.backup is None:
            raise ToolMissing(f"mariadb-backup {tool_set.series} is not installed")
        argv = [str(tool_set.backup), "--no-defaults", "--prepare", f"--target-dir={data}"]
        finished = require_success(run(Command(argv, cwd="/"), timeout=_PREPARE_SECONDS))
        completed = finished.stderr.rstrip().endswith(SUCCESS_LINE)
        if not completed or not is_prepared(data):
            raise EvidenceMissing(
                f"the copy could not be made consistent: {finished.stderr[-500:]}"
            )
    for name in _REPLICATION_FILES:  # a restored server is no replica
        (data / name).unlink(missing_ok=True)
    (data / COMPLETE).touch()
    (data / SETTLED).unlink(missing_ok=True)
    tree.chmod(0o711)
    data.chmod(0o700)
    give(data, owner_of(server))


def is_prepared(data: Path) -> bool:
    """Whether the log was applied."""
    checkpoints = next(
        (file for prefix in NOTE_PREFIXES if (file := data / f"{prefix}{CHECKPOINTS}").is_file()),
        None,
    )
    if checkpoints is None:
        raise EvidenceMissing("the snapshot holds no copy made by mariadb-backup")
    notes = checkpoints.read_text()
    return any(word in notes for word in _PREPARED_TYPES)


def obstacles(tools_dir: Path, server: LocalServer, manifest: Mapping[str, Any]) -> list[str]:
    """Why the copy cannot run here: it needs its own series and its own kind of processor."""
    facts = manifest["facts"]
    copied, target_series = f"{facts['flavour']} {facts['series']}", series(server.version)
    problems: list[str] = []
    try:
        chosen = tools.server(tools_dir, server.version)
        if chosen.flavour != MARIADB or facts["series"] != target_series:
            problems.append(
                f"the snapshot is of {copied}, the addon of {chosen.flavour} {target_series}"
            )
        elif chosen.backup is None:
            problems.append(f"mariadb-backup {target_series} is not installed")
    except ToolMissing as error:
        problems.append(error.message)
    if facts["machine"] != platform.machine():
        problems.append(f"the snapshot is of a {facts['machine']}, this is a {platform.machine()}")
    return problems


def finish(directory: PurePath) -> Finish:
    """How an operator finishes a copy by hand; without its log the files are of many moments."""
    data = directory / DATA
    return Finish(
        texts={},
        modes={DATA: 0o700},
        steps=[
            f"Apply the log that came with it: mariadb-backup --prepare --target-dir={data}"
            " (of the same series as the server); it ends with `completed OK!`.",
            "Stop the server.",
            f"Give the files to its user: chown -R mysql: {directory}",
            f"Make {data} its data directory: move it there, or set datadir.",
            "Start the server. Users and passwords are those of the snapshot.",
        ],
    )
