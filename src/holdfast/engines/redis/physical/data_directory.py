"""Turns a materialised snapshot into a data directory that our own server loads.

Which file a server loads depends on its settings: with `appendonly yes` it ignores `dump.rdb`, and
starts empty when only that is there. So the RDB goes where the server's own settings look: as the
base file of a multi-part AOF with its manifest, or as the RDB file. Never both, because the one
that is not kept up to date would be loaded when the setting changes.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.contracts.snapshots import Finish
from holdfast.domain.errors import EvidenceMissing, ToolMissing
from holdfast.domain.snapshot import MANIFEST
from holdfast.engines.redis.client import acl, tools
from holdfast.engines.redis.hosting import config_file
from holdfast.engines.redis.hosting.server import confine, give_to_server_user
from holdfast.engines.redis.physical.snapshot import DATA, RDB
from holdfast.kit import durable
from holdfast.kit.processes.hosting import mark

SNAPSHOT_USERS = f"{acl.FILE}.from-snapshot"


def finish(directory: PurePath) -> Finish:
    """How an operator finishes a copy by hand; a server that appends to a log ignores the RDB."""
    data = directory / DATA
    return Finish(
        texts={},
        modes={DATA: 0o700},  # users' password digests are in it
        steps=[
            f"Give the files to the server's user: chown -R redis: {directory}",
            "Stop the server, and move its dump.rdb and appendonlydir out of its data directory.",
            f"Move {data / RDB} there, under the name that `dbfilename` has.",
            "Start it with `appendonly no`, whatever its configuration says: with `yes` it would"
            " start empty.",
            "Where it was `yes` before: CONFIG SET appendonly yes, wait until"
            " aof_rewrite_in_progress of INFO persistence is 0, then put `appendonly yes` back into"
            " the configuration.",
            f"Users and their rights are in {data / acl.FILE}: the format of an `aclfile`.",
        ],
    )


def obstacles(tools_dir: Path, server: LocalServer, manifest: Mapping[str, Any]) -> list[str]:
    """Why the addon's version cannot load this snapshot."""
    facts = manifest["facts"]
    if not (server.directory / config_file.FILE).is_file():
        return [
            f"{server.directory} holds no {config_file.FILE}: only servers made here are put back"
        ]
    try:
        chosen = tools.server(tools_dir, server.version, config_file.flavour(server.directory))
    except ToolMissing as error:
        return [error.message]
    problems: list[str] = []
    if not tools.reads(chosen, facts["rdbVersion"]):
        problems.append(
            f"{chosen.flavour} {chosen.version} does not read {facts['rdbVersion']}, the format of"
            f" {facts['flavour']} {manifest['version']}; a newer server is needed"
        )
    if facts["modules"]:
        problems.append(f"the data needs modules: {', '.join(facts['modules'])}")
    return problems


def arrange(tree: Path, server: LocalServer) -> None:
    """Adds the settings and users of the server's live directory. Repeatable."""
    data = tree / DATA
    snapshot_acl = data / acl.FILE
    if snapshot_acl.exists() and not (data / SNAPSHOT_USERS).exists():
        durable.move(snapshot_acl, data / SNAPSHOT_USERS)
    for name in (config_file.FILE, acl.FILE):
        shutil.copy(server.directory / name, data / name)
    config_file.drop_command_line_settings(data / config_file.FILE)
    confine(data, server)
    mark(data / SETTLED)
    settings = config_file.read(data / config_file.FILE)
    facts = json.loads((tree / MANIFEST).read_text())["facts"]
    needed = max((int(number) for number in facts["keys"]), default=0) + 1
    if needed > int(settings.get("databases", "16")):  # a server refuses one beyond its setting
        config_file.append(data / config_file.FILE, "databases", str(needed))
    appends = settings.get("appendonly", "no") == "yes"
    log_name = settings.get("appendfilename", "appendonly.aof")
    log_directory = data / settings.get("appenddirname", "appendonlydir")
    target = (
        log_directory / f"{log_name}.1.base.rdb"
        if appends
        else data / settings.get("dbfilename", RDB)
    )
    if (data / RDB).exists() and target != data / RDB:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        durable.move(data / RDB, target)
    if not target.exists():
        raise EvidenceMissing("the snapshot holds no RDB")
    if appends:
        quoted = f'"{target.name}"' if " " in target.name else target.name
        durable.write(log_directory / f"{log_name}.manifest", f"file {quoted} seq 1 type b\n")
    durable.sync_tree(data)
    tree.chmod(0o711)
    give_to_server_user(data, server)
