"""Puts staged databases in place of the old ones: one transaction of renames, then drops.

ALTER DATABASE ... RENAME is transactional, so all databases and all changes to roles appear
together or not at all; no marker has to survive a crash between two of them. RENAME wants the
database empty of sessions: while it waits it lets nobody new in, so a second session only has to
end those that are there.

Names tell a repetition where it is: while anything is staged nothing was swapped; while anything is
old everything was, and only drops remain. Of these two there is one or the other until the end,
because where nothing is replaced there is a book.
"""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address, Attempt, Dump
from holdfast.domain.errors import AddonRefused, Failure, RestoreDiffers
from holdfast.engines.postgresql import facts
from holdfast.engines.postgresql.address import Session, connect
from holdfast.engines.postgresql.counting import inventory
from holdfast.engines.postgresql.dump import end_sessions
from holdfast.engines.postgresql.layout import SYSTEM, Placement, placements
from holdfast.engines.postgresql.naming import (
    application,
    book,
    is_older_stage,
    old_prefix,
    stage_prefix,
    stages_prefix,
)
from holdfast.engines.postgresql.session import drop, maintenance, names
from holdfast.engines.postgresql.staging import clear
from holdfast.kit.guard import Guard

_TRIES = 5
_EVICT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = ANY(%s) AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class Rename:
    before: str
    after: str


def swap(address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
    placed = placements(address, dump, attempt)
    own = application(attempt)
    with maintenance(address, own, avoid=_at_stake(placed), guard=guard) as session:
        end_sessions(session, attempt)
        attempt.confirm()
        if names(session, stage_prefix(attempt)):
            _rename_all(address, session, placed, attempt)
        elif not names(session, old_prefix(attempt.op)):
            _require_done(address, dump, placed, set(names(session)))
            attempt.say("the swap was done before")
        drop_old(session, attempt)
        _drop_abandoned(session, attempt)


def _drop_abandoned(session: Session, attempt: Attempt) -> None:
    """What attempts left that were taken for dead and went on staging for a while."""
    for name in names(session, stages_prefix(attempt.op)):
        if is_older_stage(name, attempt):
            drop(session, name)


def _at_stake(placed: Sequence[Placement]) -> set[str]:
    return {placement.name for placement in placed}


def _rename_all(
    address: Address, session: Session, placed: Sequence[Placement], attempt: Attempt
) -> None:
    present = set(names(session))
    missing = [p.name for p in placed if p.staged not in present]
    if missing:
        raise RestoreDiffers(f"nothing is staged for {', '.join(missing)}")
    kept = book(attempt)
    renames = [
        *_outgoing(session, placed, attempt),
        *(Rename(placement.staged, placement.name) for placement in placed),
        *([Rename(kept, _old_book(attempt))] if kept in present else []),
    ]
    later = _later(address, attempt) if kept in present else []
    with evicting(address, session.info.dbname, attempt, [r.before for r in renames]):
        _try_renames(session, renames, later)
    attempt.say(f"in place: {', '.join(placement.name for placement in placed)}")


def _outgoing(session: Session, placed: Sequence[Placement], attempt: Attempt) -> list[Rename]:
    """What has to go: databases of the same names and, on a server of ours, all the others."""
    incoming = _at_stake(placed)
    present = [name for name in names(session) if name in incoming]
    others = [
        str(database["name"])
        for database in facts.databases(session)
        if database["name"] not in incoming and database["name"] not in SYSTEM
    ]
    fate = "stays as it is" if attempt.keep_others else "is dropped"
    for name in others:
        attempt.say(f"database {name} is not in the backup and {fate}")
    going = present if attempt.keep_others else [*present, *others]
    prefix = old_prefix(attempt.op)
    return [Rename(name, f"{prefix}{n}") for n, name in enumerate(going)]


def _later(address: Address, attempt: Attempt) -> list[str]:
    with connect(address, book(attempt), application(attempt)) as session:
        rows = session.execute("SELECT statement FROM public.later ORDER BY place").fetchall()
    return [row[0] for row in rows]


def _try_renames(session: Session, renames: Sequence[Rename], later: Sequence[str]) -> None:
    """Somebody may still slip in between an eviction and a rename: then all of it again."""
    for remaining in reversed(range(_TRIES)):
        try:
            with session.transaction():
                for rename in renames:
                    session.execute(
                        SQL("ALTER DATABASE {} RENAME TO {}").format(
                            Identifier(rename.before), Identifier(rename.after)
                        )
                    )
                for statement in later:
                    session.execute(statement.encode())
            return
        except psycopg.errors.ObjectInUse as error:
            if remaining == 0:
                raise AddonRefused(f"sessions that do not end hold a database: {error}") from error


@contextmanager
def evicting(
    address: Address, door: str, attempt: Attempt, databases: Sequence[str]
) -> Generator[None]:
    """Ends every session in these databases, again and again, until the block is left."""
    over = threading.Event()
    own = application(attempt)

    def evict(session: Session) -> None:
        try:
            while not over.is_set():
                session.execute(_EVICT, [list(databases)])
                over.wait(0.2)
        except psycopg.Error:
            return  # the renames themselves will say what is wrong with the server

    with connect(address, door, own) as session:
        session.execute(_EVICT, [list(databases)])
        thread = threading.Thread(target=evict, args=(session,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def drop_old(session: Session, attempt: Attempt) -> None:
    """The book goes first. The server puts all that is new on the disk before it drops anything,
    and need not do so with the files of the book."""
    found = names(session, old_prefix(attempt.op))
    for name in sorted(found, key=lambda name: name != _old_book(attempt)):
        drop(session, name)


def _old_book(attempt: Attempt) -> str:
    return f"{old_prefix(attempt.op)}book"


def _require_done(
    address: Address, dump: Dump, placed: Sequence[Placement], present: set[str]
) -> None:
    """Nothing staged and nothing to drop: either all is done, or somebody removed the stage.

    The objects tell; rows may have changed since, the database is in use again.
    """
    missing = [placement.name for placement in placed if placement.name not in present]
    if missing:
        raise RestoreDiffers(f"nothing is staged for {', '.join(missing)}")
    found = inventory(address).objects
    for database, kinds in dump.inventory.objects.items():
        if dict(found.get(database, {})) != dict(kinds):
            raise RestoreDiffers(f"nothing is staged, and {database} is not what was restored")


def discard(address: Address, attempt: Attempt) -> str:
    """Before the swap: takes everything away again. After it: finishes it."""
    own = application(attempt)
    try:
        with maintenance(address, own) as session:
            end_sessions(session, attempt)
            swapped = bool(names(session, old_prefix(attempt.op)))
            staged = clear(session, address, attempt)
            drop_old(session, attempt)
    except Failure as error:
        raise type(error)(
            f"the state of the target is not known, and databases named holdfast_* may remain: "
            f"{error.message}",
            **error.facts,
        ) from error
    if swapped:
        return "the restored data is in place; the old data is gone"
    return "the target is as it was" + ("; what was staged is removed" if staged else "")
