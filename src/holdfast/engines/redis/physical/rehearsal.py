"""Boots a restored data directory where nobody sees it, counts it, and lets the old users in.

The server has the place's own settings, but no port, and it believes that it is a replica whose
master is away: a replica expires nothing, so every key that the snapshot holds can be counted, also
those whose time has come since. When it is sound it waits, to go on as the addon's server.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.contracts.local_servers import DIFFERENCES, LocalServer, is_foreign
from holdfast.domain.errors import AddonUnavailable, RestoreDiffers
from holdfast.engines.redis.client import acl, probe
from holdfast.engines.redis.client.address import Session
from holdfast.engines.redis.client.tools import ToolSet
from holdfast.engines.redis.hosting import config_file, private_server
from holdfast.engines.redis.hosting.server import argv_for, run_as
from holdfast.engines.redis.physical import data_directory
from holdfast.engines.redis.physical.snapshot import DATA
from holdfast.kit.backoff import pauses
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of, ended
from holdfast.kit.processes.process import Command, Detached, start_detached

_NOWHERE = "127.0.0.1 0"
_LAST_BYTES, _LAST_WORDS = 4096, 5
_STOP_SECONDS = 60.0


class Rehearsal:
    """One private boot of `tree / "data"`."""

    def __init__(self, chosen: ToolSet, tree: Path, server: LocalServer, guard: Guard) -> None:
        self._tools = chosen
        self._data = tree / DATA
        self._place = server
        self._log = server.log or tree / "server.log"
        self._guard = guard

    def run(self, facts: Mapping[str, Any]) -> Mapping[str, object]:
        """What was proven. RestoreDiffers when it does not start or holds something else."""
        private_server.dismiss(self._data)  # what a dead attempt left
        with self._booted(strict=is_foreign(facts)) as process:
            self._await(process)
            with private_server.reached(self._data, self._place) as session:
                proven = self._look(session, facts)
            if not private_server.may_go_on(self._data, self._place):
                self._shut_down(process)
        return proven

    @contextmanager
    def _booted(self, *, strict: bool) -> Generator[Detached]:
        """It stays when the block ends well. It outlives us, so everything else ends it."""
        with self._log.open("ab") as log:
            began = log.tell()
            process = start_detached(self._command(strict=strict), log)
        release = self._guard.adopt(process.kill)
        try:
            yield process
        except AddonUnavailable as error:
            _end(process)
            self._guard.check()
            raise RestoreDiffers(
                f"the restored server does not start: {self._last(began)}"
            ) from error
        except BaseException:
            _end(process)
            raise
        finally:
            release()

    def _command(self, *, strict: bool) -> Command:
        """`strict`: values that a stranger wrote are looked through before they are believed."""
        words = ["--port", "0", f"--{private_server.STRICT}", "yes" if strict else "no"]
        if "tls-port" in config_file.read(self._data / config_file.FILE):
            words += ["--tls-port", "0"]
        argv = [*argv_for(self._tools, self._data), *words, "--replicaof", *_NOWHERE.split()]
        cell = cell_of(self._place.cell, self._tools.directory, self._data.parent)
        return Command(argv, cwd=str(self._data), user=run_as(self._place), cell=cell)

    def _await(self, process: Detached) -> None:
        """Until everything is loaded, however long that takes: an abort ends the server."""
        for pause in pauses(0.02):
            self._guard.wait(pause)
            self._guard.moved(0)
            try:
                with private_server.reached(self._data, self._place) as session:
                    if not probe.told(session).get("loading"):
                        return
            except AddonUnavailable:
                if process.ended() is not None:
                    raise

    def _look(self, session: Session, facts: Mapping[str, Any]) -> Mapping[str, object]:
        info = probe.told(session)
        keys = {str(number): count for number, count in probe.keys(info).items()}
        functions = len(session.ask("FUNCTION LIST"))
        differences: list[str] = []
        if keys != facts["keys"]:
            differences.append(f"keys per database: {facts['keys']} saved, {keys} restored")
        if functions != facts["functions"]:
            differences.append(
                f"{facts['functions']} function libraries saved, {functions} restored"
            )
        self._require_memory(int(str(info["used_memory"])))
        users = [] if is_foreign(facts) else self._users()
        adopted, set_aside = acl.adopt(session, users, self._place)
        return {
            "keys": keys,
            "functions": functions,
            "users": adopted,
            "usersSetAside": set_aside,
            DIFFERENCES: differences,
        }

    def _users(self) -> list[str]:
        path = self._data / data_directory.CAME
        return path.read_text().splitlines() if path.exists() else []

    def _require_memory(self, used: int) -> None:
        """A server above its limit would begin by throwing keys away."""
        settings = config_file.read(self._data / config_file.FILE)
        limit = config_file.amount(settings.get("maxmemory", "0"))
        evicts = settings.get("maxmemory-policy", "noeviction") != "noeviction"
        if evicts and 0 < limit < used:
            raise RestoreDiffers(
                f"the data needs {used} bytes of memory and the addon's maxmemory is {limit}:"
                " keys would be evicted at once"
            )

    def _shut_down(self, process: Detached) -> None:
        """The connection ends instead of an answer."""
        try:
            with private_server.reached(self._data, self._place) as session:
                session.ask("SHUTDOWN", "NOSAVE")
        except AddonUnavailable:
            if ended(process.pid, _STOP_SECONDS):
                return
        raise RestoreDiffers("the restored server does not stop")

    def _last(self, began: int) -> str:
        """Of what it said, or others beside it in the same file."""
        with self._log.open("rb") as log:
            log.seek(max(began, log.seek(0, os.SEEK_END) - _LAST_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return " / ".join(lines[-_LAST_WORDS:]) or "it said nothing"


def _end(process: Detached) -> None:
    """Nobody moves or removes its directory before it is gone."""
    process.kill()
    ended(process.pid, _STOP_SECONDS)
