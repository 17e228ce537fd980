"""Makes of a materialised snapshot a data directory that our own server loads.

Which file a server loads depends on its settings: with `appendonly yes` it never looks at
`dump.rdb`, and starts empty when only that is there. So the RDB goes where the place's own
settings look: as the base file of a multi-part AOF with its manifest, or as the RDB file. Never
both, because the one that is not kept up to date would be loaded when the setting changes.
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
from holdfast.engines.redis.hosting.server import confine, own
from holdfast.engines.redis.physical.snapshot import DATA, RDB
from holdfast.kit import durable
from holdfast.kit.processes.hosting import mark

CAME = f"{acl.FILE}.from-snapshot"


def finish(directory: PurePath) -> Finish:
    """A server that appends to a log never looks at the RDB."""
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
    """The addon keeps its version, which has to read what the snapshot's server wrote."""
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
    """The place's own settings and users are copied from its live directory. Repeatable."""
    data = tree / DATA
    snapshot_acl = data / acl.FILE
    if snapshot_acl.exists() and not (data / CAME).exists():
        durable.move(snapshot_acl, data / CAME)
    for name in (config_file.FILE, acl.FILE):
        shutil.copy(server.directory / name, data / name)
    config_file.settle_in(data / config_file.FILE)
    confine(data, server)
    mark(data / SETTLED)
    settings = config_file.read(data / config_file.FILE)
    _require_databases(tree, settings)
    target = _where(data, settings)
    if (data / RDB).exists() and target != data / RDB:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        durable.move(data / RDB, target)
    if not target.exists():
        raise EvidenceMissing("the snapshot holds no RDB")
    if _appends(settings):
        _write_manifest(target, settings)
    durable.sync_tree(data)
    tree.chmod(0o711)
    own(data, server)


def _appends(settings: Mapping[str, str]) -> bool:
    return settings.get("appendonly", "no") == "yes"


def _where(data: Path, settings: Mapping[str, str]) -> Path:
    if _appends(settings):
        return data / settings.get("appenddirname", "appendonlydir") / _base(settings)
    return data / settings.get("dbfilename", RDB)


def _base(settings: Mapping[str, str]) -> str:
    return f"{settings.get('appendfilename', 'appendonly.aof')}.1.base.rdb"


def _write_manifest(base: Path, settings: Mapping[str, str]) -> None:
    name = settings.get("appendfilename", "appendonly.aof")
    quoted = f'"{base.name}"' if " " in base.name else base.name
    manifest = base.with_name(f"{name}.manifest")
    durable.write(manifest, f"file {quoted} seq 1 type b\n")


def _require_databases(tree: Path, settings: Mapping[str, str]) -> None:
    """A server refuses to load a database whose number is beyond its setting."""
    facts = json.loads((tree / MANIFEST).read_text())["facts"]
    needed = max((int(number) for number in facts["keys"]), default=0) + 1
    if needed > int(settings.get("databases", "16")):
        config_file.require(tree / DATA / config_file.FILE, "databases", str(needed))
