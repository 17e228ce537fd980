"""Turns a materialised snapshot into a data directory that our own server can run."""

import platform
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.contracts.snapshots import Finish
from holdfast.domain.errors import EvidenceMissing, ToolMissing
from holdfast.engines.mongodb.client import tools
from holdfast.engines.mongodb.hosting.administrator import REPLICA_SET
from holdfast.engines.mongodb.hosting.server import run_as, write_key
from holdfast.engines.mongodb.physical.snapshot import DATA
from holdfast.engines.programs import series
from holdfast.kit.processes.hosting import give


def obstacles(tools_dir: Path, server: LocalServer, manifest: Mapping[str, Any]) -> list[str]:
    """Why the addon's version cannot run this snapshot: its files are of another series."""
    facts, problems = manifest["facts"], list[str]()
    if not server.ours:
        problems.append("only servers that Holdfast runs itself are put back to a snapshot")
    try:
        target = series(tools.server(tools_dir, server.version).version)
    except ToolMissing as error:
        return [*problems, error.message]
    if facts["series"] not in (target, tools.UPGRADES.get(target)):
        problems.append(
            f"the snapshot is of MongoDB {facts['series']}, and {target} starts only on files of"
            f" {target} or {tools.UPGRADES.get(target, 'none before')}"
        )
    elif facts["series"] != target and facts["compatibility"] not in (facts["series"], None):
        problems.append(
            f"the snapshot's feature compatibility version is {facts['compatibility']}, not"
            f" {facts['series']}, so {target} does not start on it"
        )
    if facts["machine"] != platform.machine():
        problems.append(f"the snapshot is of a {facts['machine']}, this is a {platform.machine()}")
    return problems


def arrange(tree: Path, server: LocalServer) -> None:
    """Adds a key for the set, and gives the files to the server's user. Repeatable."""
    data = tree / DATA
    if not (data / "WiredTiger.turtle").is_file():
        raise EvidenceMissing("the snapshot holds no data directory of a MongoDB server")
    for name in ("mongod.lock", SETTLED):
        (data / name).unlink(missing_ok=True)
    write_key(data)
    tree.chmod(0o711)
    data.chmod(0o700)
    give(data, run_as(server))


def finish(directory: PurePath) -> Finish:
    """How an operator finishes a copy by hand."""
    data = directory / DATA
    hosts = '[{_id: 0, host: "HOST:PORT"}]'
    return Finish(
        texts={},
        modes={DATA: 0o700},
        steps=[
            f"Give the files to the server's user: chown -R mongodb: {directory}",
            f"Start a mongod of the snapshot's series on it: mongod --dbpath {data} --replSet"
            f" {REPLICA_SET} (with your own --auth and --keyFile). It is no member of its set yet.",
            "Log in with a user of the snapshot and make the server the set's only member, under"
            f" its new name: cfg = rs.conf(); cfg.members = {hosts}; cfg.version++;"
            " rs.reconfig(cfg, {force: true})",
            "Users and passwords are those of the snapshot.",
        ],
    )
