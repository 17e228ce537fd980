"""Managed servers: starting and stopping them, shared by the lifecycle jobs and the supervisor.

A server is started detached, so it outlives a crash of ours and is adopted at the next start.
One file lock per addon keeps the supervisor and a job, of whatever process, from starting and
stopping the same server at once.
"""

import logging
import pwd
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
from holdfast.domain.errors import AddonUnavailable, NotSupported, Permanent
from holdfast.kit.backoff import pauses
from holdfast.kit.locks import exclusive
from holdfast.kit.processes import process
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import give
from holdfast.usecases.toolbox import SERVER_LOG, Toolbox, home_of, place_of

log = logging.getLogger(__name__)

START_SECONDS = 60.0
_LOG_LIMIT = 64 << 20


def hostable(engine: Engine) -> Hostable:
    if not isinstance(engine, Hostable):
        raise NotSupported(f"{engine.title} servers cannot be run by Holdfast")
    return engine


BESIDE = "restore-"
"""How the directories begin that restores make beside the live one."""

ASIDE = "aside-"
"""How the directories begin where restores keep old data for an undo."""

GIVEN_UP, SETTINGS = "given-up", "settings"
"""What a restore leaves that gave the live data up first: a note, and the small files of it."""


@contextmanager
def hold(home: Path) -> Generator[None]:
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # the server's own user must get to the data directory below
    with exclusive(home / "lock"):
        yield


def held(tools: Toolbox, addon: Addon) -> AbstractContextManager[None]:
    """Nobody else starts or stops this addon's server meanwhile."""
    return hold(home_of(tools.data_dir, addon.uid))


def start(tools: Toolbox, addon: Addon, wait: Callable[[float], None]) -> bool:
    """Makes sure the server runs and answers. Returns whether it had to be started.

    `wait(seconds)` sleeps between looks. AddonUnavailable when it does not answer in time, or
    when a restore that was cut off has its data directory.
    """
    make_room(tools, addon)
    engine, place = hostable(tools.engines(addon.kind)), place_of(tools, addon)
    if not place.directory.exists():
        raise AddonUnavailable("the server's data directory is not in its place")
    if isinstance(engine, Succeeding):
        engine.admit(place)
    _settle(tools, addon, engine, place)
    started = engine.running(place) is None
    if started:
        give_away(place)
        with _log(home_of(tools.data_dir, addon.uid)).open("ab") as output:
            process.start_detached(engine.command(place), output)
    deadline = tools.clock.monotonic() + START_SECONDS
    for pause in pauses(0.1):
        if engine.ready(place):
            break
        if tools.clock.monotonic() > deadline:
            raise AddonUnavailable(f"the server did not answer within {START_SECONDS:.0f} s")
        wait(pause)
    return started


_ASK_AGAIN = 10


def make_room(tools: Toolbox, addon: Addon) -> None:
    """Gives the server a user of this machine that nobody else has, where we can; else says so in
    the server's log. Permanent when there is none left."""
    if tools.server_uids is None:
        return _warn_of_neighbours(tools, addon)
    for remaining in reversed(range(_ASK_AGAIN)):
        if addon.server_uid is not None:
            return None
        try:
            with tools.catalog.write() as session:
                row = addons.get(session, addon.pk)
                if row.server_uid is None:
                    row.server_uid = _free_uid(tools, addons.taken_uids(session, tools.node))
                uid = row.server_uid
            addon.server_uid = uid
        except CatalogClash:  # another process gave the same uid to another addon
            if not remaining:
                raise
    return None


def _free_uid(tools: Toolbox, taken: set[int]) -> int:
    """That nobody of the machine has, either."""
    known = {entry.pw_uid for entry in pwd.getpwall()}
    for uid in tools.server_uids or ():
        if uid not in taken and uid not in known and not _is_known(uid):
            return uid
    raise Permanent("every uid of server_uids is in use: HOLDFAST_SERVER_UIDS needs a larger range")


def _is_known(uid: int) -> bool:
    """Also to services that do not list their users."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _warn_of_neighbours(tools: Toolbox, addon: Addon) -> None:
    with tools.catalog.read() as session:
        if not addons.has_strange_neighbours(session, tools.node, addon):
            return
    text = NEIGHBOURS
    log.warning(text, extra={"addon": addon.id})
    with _log(home_of(tools.data_dir, addon.uid)).open("ab") as output:
        output.write(f"holdfast: {text}\n".encode())


def give_away(place: LocalServer) -> None:
    """All files of the server that stands still are its user's."""
    for path in (place.directory, *place.directory.parent.glob(f"{BESIDE}*/tablespaces")):
        give(path, place.uid)


def vacate(session: WriteSession, addon: Addon) -> None:
    """When its files are gone its user may be somebody else's."""
    addons.get(session, addon.pk).server_uid = None


def is_settled(place: LocalServer) -> bool:
    """Is the administrator of this data directory ours? Cheap."""
    return place.admin is None or (place.directory / SETTLED).exists()


def _settle(tools: Toolbox, addon: Addon, engine: Hostable, place: LocalServer) -> None:
    """What an older Holdfast made is changed before its server starts, and stopped for that."""
    if is_settled(place):
        return
    engine.stop(place)
    give_away(place)
    log.warning("the administrator of a server is being replaced", extra={"addon": addon.id})
    for what in engine.settle(place, Guard(tools.clock)):
        log.warning("nobody can use this any more", extra={"addon": addon.id, "what": what})


def _log(home: Path) -> Path:
    """The server's log; one older generation is kept."""
    path = home / SERVER_LOG
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(home / f"{SERVER_LOG}.1")
    return path


def stop(tools: Toolbox, addon: Addon) -> None:
    hostable(tools.engines(addon.kind)).stop(place_of(tools, addon))


def remove(engine: object, tree: Path) -> None:
    """A directory beside the live one, with the server that a rehearsal left waiting in it."""
    _dismiss(engine, tree)
    shutil.rmtree(tree)


def dismiss_waiting(tools: Toolbox, addon: Addon) -> None:
    """Ends what rehearsals left waiting; their operations go on without."""
    engine = tools.engines(addon.kind)
    for tree in home_of(tools.data_dir, addon.uid).glob(f"{BESIDE}*"):
        _dismiss(engine, tree)


def _dismiss(engine: object, tree: Path) -> None:
    if isinstance(engine, Succeeding):
        engine.dismiss(tree / "data")


def create(tools: Toolbox, addon: Addon) -> None:
    """A data directory, if there is none yet."""
    make_room(tools, addon)
    place = place_of(tools, addon)
    if not place.directory.exists():
        hostable(tools.engines(addon.kind)).initialise(place)


def destroy(tools: Toolbox, addon: Addon) -> None:
    """Stops the server and removes its data, also that of restores. Repeatable."""
    home = home_of(tools.data_dir, addon.uid)
    if not home.exists():
        return
    stop(tools, addon)
    live = place_of(tools, addon).directory
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
