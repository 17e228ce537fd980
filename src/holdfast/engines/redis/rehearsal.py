"""Boots a restored data directory where nobody sees it, counts it, and lets the old users in.

The server has the place's own settings, but a private socket instead of a port, and it believes
that it is a replica whose master is away: a replica expires nothing, so every key that the
snapshot holds can be counted, also those whose time has come since.
"""

import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from holdfast.contracts.engine import Address, Place
from holdfast.domain.errors import AddonUnavailable, RestoreDiffers
from holdfast.engines.redis import acl, conf, placing, probe
from holdfast.engines.redis.address import client
from holdfast.engines.redis.capture import DATA
from holdfast.engines.redis.server import argv_for, run_as
from holdfast.engines.redis.tools import ToolSet
from holdfast.kit.backoff import pauses
from holdfast.kit.guard import Guard
from holdfast.kit.process import DISCARD, Child, Command, require_success

_NOWHERE = "127.0.0.1 0"
_LAST_WORDS = 5
_STOP_SECONDS = 60.0


class Rehearsal:
    """One private boot of `tree / "data"`."""

    def __init__(self, chosen: ToolSet, tree: Path, place: Place, guard: Guard) -> None:
        self._tools = chosen
        self._data = tree / DATA
        self._place = place
        self._guard = guard

    def run(self, facts: Mapping[str, Any]) -> Mapping[str, object]:
        """What was proven. RestoreDiffers when it does not start or holds something else."""
        with (
            tempfile.TemporaryDirectory(prefix="holdfast-") as private,
            self._booted(Path(private), strict="imported" in facts) as (child, address),
        ):
            self._await(child, address)
            return self._look(address, facts)

    @contextmanager
    def _booted(self, home: Path, *, strict: bool) -> Generator[tuple[Child, Address]]:
        user, log = run_as(), home / "log"
        if user is not None:
            shutil.chown(home, user)
        address = Address(str(home / "s"), 0, self._place.user, self._place.password, "0")
        child = Child(self._command(home, strict=strict), stdout=DISCARD)
        release = self._guard.adopt(child.kill)
        try:
            yield child, address
            _shut_down(address)
            require_success(child.wait(_STOP_SECONDS))
        except AddonUnavailable as error:
            raise RestoreDiffers(f"the restored server does not start: {_last(log)}") from error
        finally:
            release()
            child.close()

    def _command(self, home: Path, *, strict: bool) -> Command:
        """`strict`: values that a stranger wrote are looked through before they are believed."""
        private = {
            "--port": "0",
            "--unixsocket": str(home / "s"),
            "--unixsocketperm": "700",
            "--pidfile": str(home / "pid"),
            "--logfile": str(home / "log"),
            "--save": "",
            "--auto-aof-rewrite-percentage": "0",
            "--sanitize-dump-payload": "yes" if strict else "no",
        }
        words = [word for name, value in private.items() for word in (name, value)]
        argv = [*argv_for(self._tools, self._data), *words, "--replicaof", *_NOWHERE.split()]
        return Command(argv, cwd=str(self._data), user=run_as())

    def _await(self, child: Child, address: Address) -> None:
        """Until everything is loaded, however long that takes: an abort ends the server."""
        for pause in pauses(0.05):
            self._guard.wait(pause)
            self._guard.moved(0)
            try:
                with client(address) as session:
                    if not probe.told(session).get("loading"):
                        return
            except AddonUnavailable:
                if child.ended():
                    raise

    def _look(self, address: Address, facts: Mapping[str, Any]) -> Mapping[str, object]:
        with client(address) as session:
            info = probe.told(session)
            found = {str(number): count for number, count in probe.keys(info).items()}
            if found != facts["keys"]:
                raise RestoreDiffers(f"keys per database: {facts['keys']} saved, {found} restored")
            functions = len(session.ask("FUNCTION LIST"))
            if functions != facts["functions"]:
                raise RestoreDiffers(
                    f"{facts['functions']} function libraries saved, {functions} restored"
                )
            self._require_memory(int(str(info["used_memory"])))
            came, aside = acl.adopt(session, self._users(), self._place)
        return {"keys": found, "functions": functions, "users": came, "usersSetAside": aside}

    def _users(self) -> list[str]:
        path = self._data / placing.CAME
        return path.read_text().splitlines() if path.exists() else []

    def _require_memory(self, used: int) -> None:
        """A server above its limit would begin by throwing keys away."""
        settings = conf.read(self._data / conf.FILE)
        limit = conf.amount(settings.get("maxmemory", "0"))
        evicts = settings.get("maxmemory-policy", "noeviction") != "noeviction"
        if evicts and 0 < limit < used:
            raise RestoreDiffers(
                f"the data needs {used} bytes of memory and the addon's maxmemory is {limit}:"
                " keys would be evicted at once"
            )


def _shut_down(address: Address) -> None:
    """The connection ends instead of an answer."""
    with suppress(AddonUnavailable), client(address) as session:
        session.ask("SHUTDOWN", "NOSAVE")


def _last(log: Path) -> str:
    try:
        return " / ".join(log.read_text(errors="replace").splitlines()[-_LAST_WORDS:])
    except OSError:
        return "it left no log"
