"""Restores a backup into a throwaway server, or file, as a restore would; then it answers.

Every engine takes the way that its restores take: dumps are staged, compared and swapped, snapshots
materialised, arranged and rehearsed. Only the target is our own.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.catalog.schema import Document
from holdfast.contracts.archive import REPLAY
from holdfast.contracts.drills import Confinable, SelfChecking
from holdfast.contracts.engine import Address, Attempt, Dumpable, Engine
from holdfast.contracts.files import RestorableWhileOpen
from holdfast.contracts.local_servers import (
    CHECKED_AFTERWARDS,
    DIFFERENCES,
    Hostable,
    LocalServer,
    Login,
    RestorableInPlace,
)
from holdfast.domain.backup import BackupType
from holdfast.domain.errors import NotSupported, PreflightRefused, ToolMissing
from holdfast.domain.evidence import Check
from holdfast.domain.proof import drill
from holdfast.jobs.core.origins import is_own
from holdfast.jobs.drills import log_of_drill
from holdfast.jobs.drills.trial import Trial
from holdfast.jobs.dumps import inventories, stored_dump
from holdfast.jobs.snapshots import stored_snapshot
from holdfast.jobs.snapshots.stored_snapshot import StoredSnapshot
from holdfast.kit import durable
from holdfast.kit.seal import Secret
from holdfast.usecases.addons import DEFAULT_DATABASE, DEFAULT_USER
from holdfast.usecases.hosting import throwaway
from holdfast.usecases.hosting.throwaway import Home

_FILE = "restored.db"
_NO_LOGIN = Login("", Secret(""))


@dataclass(frozen=True)
class Restored:
    """The restored server or file, which answers at `address` until the drill is over."""

    engine: Engine
    address: Address
    login: Login
    """The owner's, for who looks at it."""

    def connection(self) -> Document:
        """Where a person finds it, on the worker's machine; without the password."""
        found = {"host": self.address.host, "port": self.address.port, "user": self.login.user}
        return {**found, "database": self.address.database}


@contextmanager
def restored(trial: Trial) -> Generator[Restored]:
    """Restores the backup of the trial; what was made is gone at the end.

    Raises what the restore raises; what speaks against this machine alone are PreflightRefused,
    ToolMissing and NotSupported.
    """
    job = trial.job
    tag = f"{job.dispatch.op}.{job.dispatch.fence}"
    with throwaway.home(job.tools, job.addon.kind, tag) as home:
        with trial.timed("restore"):
            if trial.backup.type == BackupType.SNAPSHOT:
                target = _from_snapshot(trial, home)
            else:
                target = _from_dump(trial, home)
        # A caller who restores has a server already.
        trial.times["restore"] -= trial.times.get("server", 0)
        if isinstance(job.engine(), Confinable):
            yield target
        else:  # questions are asked of the addon's own database, which came with the backup
            yield replace(target, address=replace(target.address, database=job.addon.database))


def _from_dump(trial: Trial, home: Home) -> Restored:
    job = trial.job
    manifest = trial.manifest = stored_dump.read_manifest(job, trial.backup)
    trial.size = stored_dump.size_of(manifest)
    _require_room(trial, home)
    source = stored_dump.source_of(job, trial.backup)
    is_trusted = is_own(job, trial.backup.pk)
    dump = stored_dump.described(manifest, near=source[0].near, trusted=is_trusted)
    with trial.timed("server"):
        target = _empty_target(trial, home, dump.version)
    engine = target.engine
    if not isinstance(engine, Dumpable):
        raise NotSupported(f"{engine.title} cannot load dumps")
    engine.preflight(target.address, dump)
    waits: list[float] = []
    job.guard.bytes_expected = dump.size
    attempt = attempt_of(trial)
    with trial.timed("load"):
        fetch = stored_dump.fetcher(job, source, manifest, waits.append)
        loaded = engine.stage(target.address, dump, fetch, attempt, job.guard)
        engine.swap(target.address, dump, attempt, job.guard)
    trial.took("fetch", sum(waits))
    trial.add_checks(
        Check("the bytes fetched are those that were stored", True, f"{len(dump.members)} members")
    )
    with trial.timed("firstQuery"):
        engine.probe(target.address)
    compare = inventories.shortfalls if dump.imported else inventories.differences
    differences = compare(dump.inventory, loaded)
    rows = sum(table.rows for table in loaded.tables)
    trial.add(drill.compared(differences, len(loaded.tables), rows))
    evidence = trial.backup.evidence or {}
    warnings: list[dict[str, object]] = evidence.get("warnings") or []
    announced = [str(warning.get("object", "")) for warning in warnings]
    skipped = [inventories.sentence(item) for item in loaded.skipped]
    trial.add(drill.left_out(skipped, announced))
    return target


def attempt_of(trial: Trial) -> Attempt:
    """The attempt for the target, where nothing is worth keeping."""
    return replace(trial.job.attempt, keep_others=False)


def _empty_target(trial: Trial, home: Home, version: str) -> Restored:
    """A running server without data, or an empty file."""
    tools, engine = trial.job.tools, trial.job.engine()
    if isinstance(engine, Confinable):
        path = home.directory / _FILE
        path.touch(mode=0o600)
        trial.version = version
        return Restored(engine.confined(home.directory), _file_address(trial, path), _NO_LOGIN)
    server = _initialised(trial, home, version)
    server = throwaway.start(tools, engine, server, trial.job.guard)
    return Restored(engine, throwaway.address_of(server), Login(server.user, server.password))


def _file_address(trial: Trial, path: Path) -> Address:
    return replace(trial.job.address(), database=str(path))


def _initialised(trial: Trial, home: Home, version: str) -> LocalServer:
    """The throwaway server, made but not started; ToolMissing if none of that series is here."""
    engine, addon = trial.job.engine(), trial.job.addon
    if not isinstance(engine, Hostable):
        raise NotSupported(f"{engine.title} servers cannot be run by Holdfast")
    series = engine.series(version)
    fitting = [each for each in engine.versions() if engine.series(each) == series]
    chosen = version if version in fitting else next(iter(fitting), None)
    if chosen is None:
        lack = f"no {engine.title} server of the series {series} is on this machine"
        raise ToolMissing(f"{lack}: {engine.traits.remedy}")
    trial.version = chosen
    # An attached server's user may be its superuser, and its database one that every server has.
    ours = addon.managed or not engine.traits.named_databases
    database = addon.database if ours else DEFAULT_DATABASE
    user = addon.user if addon.managed else DEFAULT_USER
    server = throwaway.new_server(home, chosen, user, database)
    engine.initialise(server)
    return server


def _from_snapshot(trial: Trial, home: Home) -> Restored:
    job = trial.job
    own = is_own(job, trial.backup.pk)
    snapshot = stored_snapshot.find(job, trial.backup.pk, trusted=own)
    trial.size = snapshot.size
    _require_room(trial, home)
    engine = job.engine()
    if isinstance(engine, Confinable):
        return _snapshot_of_file(trial, home, engine.confined(home.directory), snapshot)
    if not isinstance(engine, RestorableInPlace):
        raise NotSupported(f"{engine.title} cannot be restored from snapshots")
    return _snapshot_of_server(trial, home, engine, snapshot)


def _snapshot_of_server(
    trial: Trial, home: Home, engine: RestorableInPlace, snapshot: StoredSnapshot
) -> Restored:
    job, tree = trial.job, home.directory / "tree"
    with trial.timed("server"):
        server = _initialised(trial, home, str(snapshot.manifest["version"]))
    if obstacles := engine.obstacles(server, snapshot.manifest):
        raise PreflightRefused("; ".join(obstacles))
    with trial.timed("fetch"):
        _write_files(trial, snapshot, tree)
        replay = log_of_drill.fetch(trial, snapshot, tree)
    with trial.timed("load"):
        engine.arrange(tree, server)
        facts = dict(snapshot.manifest["facts"])
        if replay is not None:
            facts[REPLAY] = replay
        if isinstance(engine, SelfChecking):
            facts[CHECKED_AFTERWARDS] = True
        result = engine.rehearse(tree, server, facts, job.guard)
        shutil.rmtree(server.directory)
        durable.move(tree / "data", server.directory)
        server = replace(server, version=engine.runs_as(server, server.version))
        server = throwaway.start(job.tools, job.engine(), server, job.guard)
    _add_rehearsal(trial, dict(result))
    if replay is not None:
        trial.add_checks(Check("the log leads to the moment", True, log_of_drill.sentence(replay)))
    with trial.timed("firstQuery"):
        job.engine().probe(throwaway.address_of(server))
    login = Login(server.user, server.password)
    return Restored(job.engine(), throwaway.address_of(server), login)


def _snapshot_of_file(
    trial: Trial, home: Home, engine: Engine, snapshot: StoredSnapshot
) -> Restored:
    if not isinstance(engine, RestorableWhileOpen):
        raise NotSupported(f"{engine.title} cannot be restored from snapshots")
    job, attempt = trial.job, attempt_of(trial)
    target, room = home.directory / _FILE, engine.room(attempt)
    target.touch(mode=0o600)
    address = _file_address(trial, target)
    with trial.timed("fetch"):
        _write_files(trial, snapshot, room)
    with trial.timed("load"):
        result = engine.accept(address, snapshot.manifest["facts"], attempt, job.guard)
        engine.replace_content(address, attempt, job.guard)
    trial.version = str(snapshot.manifest["version"])
    _add_rehearsal(trial, dict(result))
    with trial.timed("firstQuery"):
        engine.probe(address)
    return Restored(engine, address, _NO_LOGIN)


def _write_files(trial: Trial, snapshot: StoredSnapshot, tree: Path) -> None:
    def clear() -> None:
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        tree.chmod(0o711)

    stored_snapshot.write_files(trial.job, trial.backup.pk, snapshot, tree, clear)
    text = f"{snapshot.files} files with {snapshot.size} bytes"
    trial.add_checks(Check("the bytes fetched are those that were stored", True, text))


def _add_rehearsal(trial: Trial, result: dict[str, Any]) -> None:
    sentences: list[str] = result.pop(DIFFERENCES, [])
    facts = ", ".join(f"{name} {value}" for name, value in result.items()) or "it does"
    differ = "; ".join(sentences[:5]) or "no difference was found"
    trial.add_checks(
        Check("the restored server starts and is sound", True, facts),
        Check("it holds what was saved", not sentences, differ),
    )


def _require_room(trial: Trial, home: Home) -> None:
    needed, free = drill.room_needed(trial.size), shutil.disk_usage(home.directory).free
    if free < needed:
        raise PreflightRefused(drill.lacks_room(needed, free))
