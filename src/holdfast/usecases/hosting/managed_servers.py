"""Starts and stops managed servers, for the lifecycle jobs and the supervisor.

A server is started detached, so it outlives a crash of ours and is adopted at the next start. One
file lock per addon keeps the supervisor and jobs, in any process, from starting and stopping the
same server at once.
"""

import logging
import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from holdfast.catalog import addons
from holdfast.catalog.database.session import CatalogClash, WriteSession
from holdfast.catalog.schema import Addon
from holdfast.contracts.engine import Engine
from holdfast.contracts.local_servers import SERVED, SETTLED, Hostable, LocalServer, Succeeding
from holdfast.domain.addon import NEIGHBOURS
from holdfast.domain.errors import AddonUnavailable, NotSupported
from holdfast.kit.backoff import pauses
from holdfast.kit.clock import Clock
from holdfast.kit.locks import exclusive
from holdfast.kit.processes import process
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import give
from holdfast.usecases.hosting.server_uids import free_uid
from holdfast.usecases.toolbox import SERVER_LOG, Toolbox, home_of, server_of

log = logging.getLogger(__name__)

START_SECONDS = 60.0
_SILENT = f"the server did not answer within {START_SECONDS:.0f} s"
_LOG_LIMIT = 64 << 20


def hostable(engine: Engine) -> Hostable:
    if not isinstance(engine, Hostable):
        raise NotSupported(f"{engine.title} servers cannot be run by Holdfast")
    return engine


BESIDE = "restore-"
"""Prefix of the directories that restores make beside the live one."""

ASIDE = "aside-"
"""Prefix of the directories in which restores keep old data for an undo."""

GIVEN_UP, SETTINGS = "given-up", "settings"
"""Names of a note and a directory: traces of a restore that removed the live data first."""


@contextmanager
def hold(home: Path) -> Generator[None]:
    """Holds the lock of an addon's home, which is created if missing."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # the server's own user must get to the data directory below
    with exclusive(home / "lock"):
        yield


def held(tools: Toolbox, addon: Addon) -> AbstractContextManager[None]:
    """Locks this addon's server against being started or stopped elsewhere."""
    return hold(home_of(tools.data_dir, addon.uid))


def start(tools: Toolbox, addon: Addon, wait: Callable[[float], None]) -> bool:
    """Makes sure the server runs and answers. Returns whether it had to be started.

    `wait(seconds)` sleeps between checks. AddonUnavailable if it ends at once (what is left of one
    that was killed may still hold its memory), does not answer in time, or if an interrupted
    restore holds its data directory.
    """
    assign_uid(tools, addon)
    engine, server = hostable(tools.engines(addon.kind)), server_of(tools, addon)
    if not server.directory.exists():
        raise AddonUnavailable("the server's data directory is not in its place")
    if isinstance(engine, Succeeding):
        engine.admit(server)
    if not is_settled(server):  # an older Holdfast made it: its administrator is replaced first
        engine.stop(server)
        give_away(server)
        log.warning("the administrator of a server is being replaced", extra={"addon": addon.id})
        for lost_access in engine.settle(server, Guard(tools.clock)):
            extra = {"addon": addon.id, "access": lost_access}
            log.warning("this can no longer be used", extra=extra)
    if engine.running(server) is not None:
        if not answers(tools.clock, engine, server, wait):
            raise AddonUnavailable(_SILENT)
        return False
    give_away(server)
    with _log(home_of(tools.data_dir, addon.uid)).open("ab") as output:
        child = process.start_detached(engine.command(server), output)
    if not answers(tools.clock, engine, server, wait, child.ended):
        status = child.ended()
        raise AddonUnavailable(
            _SILENT if status is None else f"the server ended with {status}; its log says why"
        )
    return True


def answers(
    clock: Clock,
    hosting: Hostable,
    server: LocalServer,
    wait: Callable[[float], None],
    ended: Callable[[], int | None] = lambda: None,
) -> bool:
    """Waits until the server answers. False: its process ended, or it takes too long."""
    deadline = clock.monotonic() + START_SECONDS
    for pause in pauses(0.05):
        if hosting.ready(server):
            return True
        if ended() is not None or clock.monotonic() > deadline:
            return False
        wait(pause)
    return False


_UID_TRIES = 10


def assign_uid(tools: Toolbox, addon: Addon) -> None:
    """Gives the server an operating system user of its own if we are root, else logs a warning.

    Permanent if there is no uid left."""
    if tools.server_uids is None:
        with tools.catalog.read() as session:
            has_neighbours = addons.has_foreign_neighbours(session, tools.node, addon)
        if has_neighbours:
            log.warning(NEIGHBOURS, extra={"addon": addon.id})
            with _log(home_of(tools.data_dir, addon.uid)).open("ab") as output:
                output.write(f"holdfast: {NEIGHBOURS}\n".encode())
        return
    for remaining in reversed(range(_UID_TRIES)):
        if addon.server_uid is not None:
            return
        try:
            with tools.catalog.write() as session:
                row = addons.get(session, addon.pk)
                if row.server_uid is None:
                    row.server_uid = free_uid(tools, addons.taken_uids(session, tools.node))
                uid = row.server_uid
            addon.server_uid = uid
        except CatalogClash:  # another process gave the same uid to another addon
            if not remaining:
                raise


def give_away(server: LocalServer) -> None:
    """Makes the files of a stopped server its own user's."""
    for path in (server.directory, *server.directory.parent.glob(f"{BESIDE}*/tablespaces")):
        give(path, server.uid)


def vacate(session: WriteSession, addon: Addon) -> None:
    """Frees the server's uid for others, once its files are gone."""
    addons.get(session, addon.pk).server_uid = None


def is_settled(server: LocalServer) -> bool:
    """Whether this data directory's administrator is ours. Cheap."""
    return server.admin is None or (server.directory / SETTLED).exists()


def _log(home: Path) -> Path:
    """The path of the server's log, rotated if large; one older file is kept."""
    path = home / SERVER_LOG
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(home / f"{SERVER_LOG}.1")
    return path


def stop(tools: Toolbox, addon: Addon) -> None:
    hostable(tools.engines(addon.kind)).stop(server_of(tools, addon))


def remove(engine: object, tree: Path) -> None:
    """Removes a directory beside the live one, and ends the server that a rehearsal left in it."""
    _dismiss(engine, tree)
    shutil.rmtree(tree)


def dismiss_waiting(tools: Toolbox, addon: Addon) -> None:
    """Ends the servers that rehearsals left waiting; the restores go on without them."""
    engine = tools.engines(addon.kind)
    for tree in home_of(tools.data_dir, addon.uid).glob(f"{BESIDE}*"):
        _dismiss(engine, tree)


def _dismiss(engine: object, tree: Path) -> None:
    if isinstance(engine, Succeeding):
        engine.dismiss(tree / "data")


def create(tools: Toolbox, addon: Addon) -> None:
    """Creates the data directory if there is none."""
    assign_uid(tools, addon)
    server = server_of(tools, addon)
    if not server.directory.exists():
        hostable(tools.engines(addon.kind)).initialise(server)


def destroy(tools: Toolbox, addon: Addon) -> None:
    """Stops the server and removes all its data, that of restores included. Repeatable."""
    home = home_of(tools.data_dir, addon.uid)
    if not home.exists():
        return
    stop(tools, addon)
    live = server_of(tools, addon).directory
    if live.exists():
        shutil.rmtree(live)
    for pattern in (f"{BESIDE}*", f"{ASIDE}*"):
        for tree in home.glob(pattern):
            remove(tools.engines(addon.kind), tree)
    shutil.rmtree(home / SETTINGS, ignore_errors=True)
    for note in (GIVEN_UP, SERVED):
        (home / note).unlink(missing_ok=True)


def remove_home(tools: Toolbox, addon: Addon) -> None:
    home = home_of(tools.data_dir, addon.uid)
    if home.exists():
        shutil.rmtree(home)
