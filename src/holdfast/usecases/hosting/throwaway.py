"""Throwaway servers: made for one drill, and gone with it, however it ends.

Each has a directory of its own, `drills/<operation>.<attempt>`. Its drill locks the file
`<operation>.<attempt>.lock` beside it from before the directory exists until after it is gone. The
kernel gives the lock back when the process dies, so a sweep that gets it knows that the server is
not needed any more: no time has to pass and no row has to be asked.
"""

import logging
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from holdfast.contracts.engine import Address, Engine
from holdfast.contracts.local_servers import ADMIN, Hostable, LocalServer, Login, Succeeding
from holdfast.domain.errors import AddonUnavailable, Failure
from holdfast.kit import ids
from holdfast.kit.backoff import pauses
from holdfast.kit.locks import exclusive, try_exclusive
from holdfast.kit.processes.cell import Cell
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import free_port, give
from holdfast.kit.processes.process import start_detached
from holdfast.kit.seal import Secret
from holdfast.usecases.hosting.managed_servers import answers, hostable
from holdfast.usecases.hosting.server_uids import lent_uid
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_STARTS = 3
_REMOVALS = 8
_KIND = "kind"
_LOCK_SUFFIX = ".lock"
_NICENESS = "15"
"""Of the server of a drill: the machine's own work goes first."""


@dataclass(frozen=True)
class Home:
    """The directory of a drill, which is locked; `uid` is the user that its server runs as."""

    directory: Path
    uid: int | None


def drills_dir(data_dir: Path) -> Path:
    return data_dir / "drills"


@contextmanager
def home(tools: Toolbox, kind: str, tag: str) -> Generator[Home]:
    """A new directory for the drill `tag`; everything in it is removed at the end."""
    directory = drills_dir(tools.data_dir) / tag
    directory.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(_lock_file(directory)), lent_uid(tools) as uid:
        try:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for path in (directory.parent, directory):  # the server's own user must get there
                path.chmod(0o711)
            (directory / _KIND).write_text(kind)
            yield Home(directory, uid)
        finally:
            _remove(tools.engines(kind), directory)


def _lock_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}{_LOCK_SUFFIX}")


def new_server(home: Home, version: str, user: str, database: str) -> LocalServer:
    """The server to be made there, reached by our administrator and by `user`."""
    return LocalServer(
        directory=home.directory / "data",
        port=free_port(),
        version=version,
        user=user,
        password=Secret(ids.password()),
        database=database,
        log=home.directory / "server.log",
        admin=Login(ADMIN, Secret(ids.password())),
        uid=home.uid,
        cell=Cell(hidden=(home.directory.parent.parent,), visible=(home.directory,)),
    )


def address_of(server: LocalServer) -> Address:
    """The address that our administrator works with."""
    login = server.admin or Login(server.user, server.password)
    return Address(
        host="127.0.0.1",
        port=server.port,
        user=login.user,
        password=login.password,
        database=server.database,
        owner=server.user,
    )


def start(tools: Toolbox, engine: Engine, server: LocalServer, guard: Guard) -> LocalServer:
    """Starts the server and waits until it answers; returns it with the port that it has.

    AddonUnavailable, with its last words, if it does not.
    """
    hosting = hostable(engine)
    if isinstance(engine, Succeeding):
        engine.admit(server)
    if hosting.running(server) is not None:  # the one that was rehearsed goes on
        answers(tools.clock, hosting, server, guard.wait)
        return server
    nice = shutil.which("nice")
    for _ in range(_STARTS):
        give(server.directory, server.uid)
        command = hosting.command(server)
        argv = [nice, "-n", _NICENESS, *command.argv] if nice else command.argv
        log_file = server.log or server.directory.with_name("server.log")
        with log_file.open("ab") as output:
            process = start_detached(replace(command, argv=argv), output)
        if answers(tools.clock, hosting, server, guard.wait, process.ended):
            return server
        hosting.stop(server)
        server = replace(server, port=free_port())  # another program may have taken its port
    try:
        log_text = (server.log or server.directory).read_text(errors="replace")
        last_words = " ".join(log_text[-600:].split()) or "it said nothing"
    except OSError:
        last_words = "it wrote no log"
    raise AddonUnavailable(f"the restored server did not answer: {last_words}")


def sweep(tools: Toolbox) -> int:
    """Ends servers of drills whose process is gone and removes their files; returns how many."""
    swept = 0
    base = drills_dir(tools.data_dir)
    paths = base.iterdir() if base.is_dir() else ()
    for directory in {path.with_name(path.name.removesuffix(_LOCK_SUFFIX)) for path in paths}:
        lock = try_exclusive(_lock_file(directory))
        if lock is None:
            continue
        with lock:
            if directory.exists():
                kind = (directory / _KIND).read_text() if (directory / _KIND).exists() else ""
                _remove(tools.engines(kind) if kind else None, directory)
                swept += 1
            else:
                _lock_file(directory).unlink(missing_ok=True)
    return swept


def _remove(engine: Engine | None, directory: Path) -> None:
    """Ends what runs from there and removes it. A failure is logged, and the next sweep tries."""
    try:
        if isinstance(engine, Hostable):
            for data in filter(Path.exists, (directory / "data", *directory.glob("tree*/data"))):
                if isinstance(engine, Succeeding):
                    engine.dismiss(data)
                engine.stop(LocalServer(data, 0, "", "", Secret(""), ""))
        # Again while programs that are about to end still write there.
        for pause in islice(pauses(1.0), _REMOVALS):
            shutil.rmtree(directory, ignore_errors=True)
            if not directory.exists():
                break
            time.sleep(pause)
        else:
            shutil.rmtree(directory)
        _lock_file(directory).unlink(missing_ok=True)
    except (Failure, OSError) as error:
        extra = {"directory": str(directory), "error": str(error)}
        log.warning("a drill left something behind; it is tried again", extra=extra)
