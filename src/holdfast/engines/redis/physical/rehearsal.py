"""Boots a restored data directory in private, counts its keys, and restores its users.

The server has the settings of the one it replaces, but no port, and is a replica whose master is
away: a replica expires nothing, so every key of the snapshot can be counted, also those that have
expired since. A sound server then waits, to go on as the addon's server.
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

_ABSENT_MASTER = "127.0.0.1 0"
_MAX_LOG_BYTES, _MAX_LOG_LINES = 4096, 5
_STOP_SECONDS = 60.0


class Rehearsal:
    """One private boot of `tree / "data"`."""

    def __init__(self, tool_set: ToolSet, tree: Path, server: LocalServer, guard: Guard) -> None:
        self._tools = tool_set
        self._data = tree / DATA
        self._server = server
        self._log = server.log or tree / "server.log"
        self._guard = guard

    def run(self, facts: Mapping[str, Any]) -> Mapping[str, object]:
        """Facts about what was proven. RestoreDiffers when it does not start or does not fit."""
        private_server.dismiss(self._data)  # left by a dead attempt
        with self._booted(sanitize=is_foreign(facts)) as process:
            self._await(process)
            with private_server.private_session(self._data, self._server) as session:
                proven = self._compare(session, facts)
            if not private_server.can_go_on(self._data, self._server):
                is_over = False
                try:
                    with private_server.private_session(self._data, self._server) as session:
                        session.ask("SHUTDOWN", "NOSAVE")
                except AddonUnavailable:  # the end of the connection is the answer
                    is_over = ended(process.pid, _STOP_SECONDS)
                if not is_over:
                    raise RestoreDiffers("the restored server does not stop")
        return proven

    @contextmanager
    def _booted(self, *, sanitize: bool) -> Generator[Detached]:
        """A server that stays when the block ends well, and is killed otherwise: it outlives us.

        `sanitize` validates the values of a foreign snapshot while they are loaded.
        """
        words = ["--port", "0", f"--{private_server.SANITIZE}", "yes" if sanitize else "no"]
        if "tls-port" in config_file.read(self._data / config_file.FILE):
            words += ["--tls-port", "0"]
        argv = [*argv_for(self._tools, self._data), *words, "--replicaof", *_ABSENT_MASTER.split()]
        cell = cell_of(self._server.cell, self._tools.directory, self._data.parent)
        command = Command(argv, cwd=str(self._data), user=run_as(self._server), cell=cell)
        with self._log.open("ab") as log:
            began = log.tell()
            process = start_detached(command, log)
        release = self._guard.adopt(process.kill)
        try:
            yield process
        except AddonUnavailable as error:
            _kill(process)
            self._guard.check()
            with self._log.open("rb") as log:
                log.seek(max(began, log.seek(0, os.SEEK_END) - _MAX_LOG_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
            last_words = " / ".join(lines[-_MAX_LOG_LINES:]) or "it said nothing"
            raise RestoreDiffers(f"the restored server does not start: {last_words}") from error
        except BaseException:
            _kill(process)
            raise
        finally:
            release()

    def _await(self, process: Detached) -> None:
        """Waits until everything is loaded, without a limit: an abort ends the server."""
        for pause in pauses(0.02):
            self._guard.wait(pause)
            self._guard.moved(0)
            try:
                with private_server.private_session(self._data, self._server) as session:
                    if not probe.server_info(session).get("loading"):
                        return
            except AddonUnavailable:
                if process.ended() is not None:
                    raise

    def _compare(self, session: Session, facts: Mapping[str, Any]) -> Mapping[str, object]:
        info = probe.server_info(session)
        keys = {str(number): count for number, count in probe.keys(info).items()}
        functions = len(session.ask("FUNCTION LIST"))
        differences: list[str] = []
        if keys != facts["keys"]:
            differences.append(f"keys per database: {facts['keys']} saved, {keys} restored")
        if functions != facts["functions"]:
            differences.append(
                f"{facts['functions']} function libraries saved, {functions} restored"
            )
        settings = config_file.read(self._data / config_file.FILE)
        used = int(str(info["used_memory"]))
        limit = config_file.parse_bytes(settings.get("maxmemory", "0"))
        evicts = settings.get("maxmemory-policy", "noeviction") != "noeviction"
        if evicts and 0 < limit < used:
            raise RestoreDiffers(
                f"the data needs {used} bytes of memory and the addon's maxmemory is {limit}:"
                " keys would be evicted at once"
            )
        path = self._data / data_directory.SNAPSHOT_USERS
        users = path.read_text().splitlines() if path.exists() and not is_foreign(facts) else []
        adopted, set_aside = acl.restore_users(session, users, self._server)
        return {
            "keys": keys,
            "functions": functions,
            "users": adopted,
            "usersSetAside": set_aside,
            DIFFERENCES: differences,
        }


def _kill(process: Detached) -> None:
    """Waits for the end too, because the directory may be moved or removed afterwards."""
    process.kill()
    ended(process.pid, _STOP_SECONDS)
