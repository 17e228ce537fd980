"""Old databases that a swap has renamed: kept for an undo, put back, or dropped.

Where they are kept, the old book of the restore says what each was called and which databases came
without replacing one. It is written before the transaction of renames and renamed in it, so it is
there exactly when the old data is aside.

An undo is a swap the other way: one transaction of renames, in which the book gets the name of the
undo. So while there is a book of the restore nothing was put back, while there is one of the undo
everything was, and only drops remain.
"""

from collections.abc import Collection, Mapping, Sequence

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address, Attempt
from holdfast.domain.errors import AddonRefused, Failure, RestoreDiffers
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import drop, maintenance, names
from holdfast.engines.postgresql.client.object_names import (
    application,
    old_ledger_database,
    old_prefix,
)
from holdfast.engines.postgresql.client.server_errors import statement_failure, translated
from holdfast.engines.postgresql.dump.dump import end_sessions
from holdfast.engines.postgresql.restore.renaming import Rename, rename
from holdfast.kit.processes.guard import Guard

_TABLES = """
DROP TABLE IF EXISTS public.aside;
CREATE TABLE public.aside (name text PRIMARY KEY, old text, subscriptions text[] NOT NULL);
"""
_ENABLED = """
SELECT d.datname::text, array_agg(s.subname::text)
  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE s.subenabled GROUP BY 1
"""
_OWN = """
SELECT s.subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE d.datname = %s
"""


def record(
    address: Address,
    book: str,
    attempt: Attempt,
    incoming: Collection[str],
    outgoing: Mapping[str, str],
) -> None:
    """Before the swap. `outgoing`: what databases are called now, and will be."""
    with translated(), connect(address, book, application(attempt)) as session:
        enabled = dict(session.execute(_ENABLED).fetchall())
        with session.transaction():
            session.execute(_TABLES.encode())
            for name in sorted({*incoming, *outgoing}):
                session.execute(
                    "INSERT INTO public.aside VALUES (%s, %s, %s)",
                    [name, outgoing.get(name), enabled.get(name, [])],
                )


def finish_keeping(address: Address, attempt: Attempt, guard: Guard) -> None:
    """After the swap: what is aside follows nobody, while what was restored may. Repeatable."""
    noted = _recorded(address, attempt.op, attempt)
    for old, subscriptions in noted.values():
        if old is not None:
            _subscribe(address, old, subscriptions, attempt, "DISABLE")
    guard.check()
    aside = [f"{name} as {old}" for name, (old, _) in noted.items() if old is not None]
    if aside:
        attempt.say(f"the old data is kept: {', '.join(aside)}")


def put_back(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    """Repeatable until it returns. RestoreDiffers where there is nothing of `op`."""
    own = application(attempt)
    with maintenance(address, own, guard=guard) as session:
        end_sessions(session, attempt)
        is_aside = old_ledger_database(op) in names(session)
        was_put_back = bool(names(session, old_prefix(attempt.op)))
    if is_aside:
        noted = _recorded(address, op, attempt)
        with maintenance(address, own, avoid=noted, guard=guard) as session:
            attempt.confirm()
            rename(address, session, attempt, _back(session, noted, op, attempt))
        attempt.say(f"put back: {', '.join(n for n, (old, _) in noted.items() if old is not None)}")
    elif not was_put_back and attempt.number <= 1:
        raise RestoreDiffers("nothing that this restore replaced is set aside on the server")
    if is_aside or was_put_back:
        for name, (old, subscriptions) in _recorded(address, attempt.op, attempt).items():
            if old is not None:
                _subscribe(address, name, subscriptions, attempt, "ENABLE")
        drop_old(address, attempt.op, attempt, guard)
    else:
        attempt.say("nothing is set aside any more: an attempt before this one put it back")


def _back(
    session: Session,
    noted: Mapping[str, tuple[str | None, Sequence[str]]],
    op: str,
    attempt: Attempt,
) -> Sequence[Rename]:
    """What was restored, and was not dropped since, goes where the old data was, and is dropped."""
    present = set(names(session))
    missing = [old for old, _ in noted.values() if old is not None and old not in present]
    if missing:
        raise RestoreDiffers(f"the server has no database {', '.join(missing)} any more")
    away = [name for name in noted if name in present]
    return [
        *(Rename(name, f"{old_prefix(attempt.op)}{n}") for n, name in enumerate(away)),
        *(Rename(old, name) for name, (old, _) in noted.items() if old is not None),
        Rename(old_ledger_database(op), old_ledger_database(attempt.op)),
    ]


def drop_aside(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    with maintenance(address, application(attempt), guard=guard) as session:
        end_sessions(session, attempt)
        attempt.confirm()
    left = drop_old(address, op, attempt, guard)
    if left:
        raise AddonRefused(f"old data remains on the server as {', '.join(left)}")


def drop_old(address: Address, op: str, attempt: Attempt, guard: Guard | None) -> Sequence[str]:
    """What is aside of `op`, and its book. Returns what could not be dropped, which the log says.

    The data is in place by now: that old data stays is no failure of what put it there. Where there
    is no undo the book goes first: the server puts all that is new on the disk before it drops
    anything, and need not do so with the files of the book.
    """
    own = application(attempt)
    with maintenance(address, own, guard=guard) as session:
        old_names = list(names(session, old_prefix(op)))
    book_last = attempt.op != op or _is_noted(address, op, attempt, old_names)
    left: list[str] = []
    for name in sorted(old_names, key=lambda name: (name == old_ledger_database(op)) is book_last):
        try:
            _unsubscribe(address, name, attempt)
            with maintenance(address, own, guard=guard) as session:
                drop(session, name)
        except (Failure, psycopg.Error) as error:
            if guard is not None:
                guard.check()
            left.append(name)
            reason = (
                error.message if isinstance(error, Failure) else statement_failure(error).message
            )
            attempt.say(f"old data remains as database {name}, to be dropped by hand: {reason}")
    return left


def _is_noted(address: Address, op: str, attempt: Attempt, old_names: Collection[str]) -> bool:
    """Is it a book of what was kept? Then it is needed until the last."""
    return old_ledger_database(op) in old_names and bool(_recorded(address, op, attempt))


def _recorded(
    address: Address, op: str, attempt: Attempt
) -> Mapping[str, tuple[str | None, Sequence[str]]]:
    """By its name: what an old database is called now, and its subscriptions that were enabled.

    Nothing where the book was not written for this, or is half dropped.
    """
    try:
        with (
            translated(),
            connect(address, old_ledger_database(op), application(attempt)) as session,
        ):
            row = session.execute("SELECT to_regclass('public.aside') IS NOT NULL").fetchone()
            if row is None or not row[0]:
                return {}
            rows = session.execute("SELECT name, old, subscriptions FROM public.aside ORDER BY 1")
            return {name: (old, subscriptions) for name, old, subscriptions in rows}
    except AddonRefused:
        return {}


def _subscribe(
    address: Address, database: str, subscriptions: Sequence[str], attempt: Attempt, verb: str
) -> None:
    if not subscriptions:
        return
    with translated(), connect(address, database, application(attempt)) as session:
        for name in subscriptions:
            session.execute(
                SQL("ALTER SUBSCRIPTION {} {}").format(Identifier(name), SQL(verb))  # pyright: ignore[reportArgumentType] - one of two words
            )


def _unsubscribe(address: Address, database: str, attempt: Attempt) -> None:
    """A database with a subscription cannot be dropped. Its slot stays at the publisher: what was
    restored may go on from there."""
    with maintenance(address, application(attempt)) as session:
        subscriptions = [row[0] for row in session.execute(_OWN, [database]).fetchall()]
    if not subscriptions:
        return
    with translated(), connect(address, database, application(attempt)) as session:
        for name in subscriptions:
            subscription = Identifier(name)
            session.execute(SQL("ALTER SUBSCRIPTION {} DISABLE").format(subscription))
            session.execute(
                SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(subscription)
            )
            session.execute(SQL("DROP SUBSCRIPTION {}").format(subscription))
            attempt.say(f"subscription {name} of the old data is gone; its slot stays there")
