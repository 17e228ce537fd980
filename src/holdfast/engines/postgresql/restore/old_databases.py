"""Keeps, puts back or drops the old databases that a swap has renamed.

To keep them, a ledger of the restore records what each was called and which databases came without
replacing one. It is written before the transaction of renames and renamed in it, so it exists
exactly when the old data is aside.

An undo is a swap the other way: one transaction of renames, in which the ledger gets the name of
the undo. So while there is a ledger of the restore nothing was put back; while there is one of the
undo everything was, and only drops remain.
"""

from collections.abc import Collection, Mapping, Sequence

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address, Attempt
from holdfast.domain.errors import AddonRefused, Failure, RestoreDiffers
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.client.databases import drop, maintenance, names
from holdfast.engines.postgresql.client.object_names import application
from holdfast.engines.postgresql.client.server_errors import statement_failure, translated
from holdfast.engines.postgresql.dump.dump import end_sessions
from holdfast.engines.postgresql.restore.renaming import Rename, rename
from holdfast.engines.staging_names import old_ledger_database, old_prefix
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
    ledger: str,
    attempt: Attempt,
    incoming: Collection[str],
    outgoing: Mapping[str, str],
) -> None:
    """Records the renames before the swap. `outgoing`: the new names of old databases, by name."""
    with translated(), connect(address, ledger, application(attempt)) as session:
        enabled = dict(session.execute(_ENABLED).fetchall())
        with session.transaction():
            session.execute(_TABLES.encode())
            for name in sorted({*incoming, *outgoing}):
                session.execute(
                    "INSERT INTO public.aside VALUES (%s, %s, %s)",
                    [name, outgoing.get(name), enabled.get(name, [])],
                )


def finish_keeping(address: Address, attempt: Attempt, guard: Guard) -> None:
    """Disables subscriptions of the old databases after the swap; restored ones may be enabled.

    Repeatable.
    """
    records = _recorded(address, attempt.op, attempt)
    for old, subscriptions in records.values():
        if old is not None:
            _subscribe(address, old, subscriptions, attempt, "DISABLE")
    guard.check()
    aside = [f"{name} as {old}" for name, (old, _) in records.items() if old is not None]
    if aside:
        attempt.say(f"the old data is kept: {', '.join(aside)}")


def put_back(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    """Puts old databases back. Repeatable until it returns; RestoreDiffers where `op` kept none."""
    own = application(attempt)
    with maintenance(address, own, guard=guard) as session:
        end_sessions(session, attempt)
        is_aside = old_ledger_database(op) in names(session)
        was_put_back = bool(names(session, old_prefix(attempt.op)))
    if is_aside:
        records = _recorded(address, op, attempt)
        with maintenance(address, own, avoid=records, guard=guard) as session:
            attempt.confirm()
            present = set(names(session))
            missing = [old for old, _ in records.values() if old is not None and old not in present]
            if missing:
                raise RestoreDiffers(f"the server has no database {', '.join(missing)} any more")
            away = [name for name in records if name in present]
            renames = [
                *(Rename(name, f"{old_prefix(attempt.op)}{n}") for n, name in enumerate(away)),
                *(Rename(old, name) for name, (old, _) in records.items() if old is not None),
                Rename(old_ledger_database(op), old_ledger_database(attempt.op)),
            ]
            rename(address, session, attempt, renames)
        attempt.say(
            f"put back: {', '.join(n for n, (old, _) in records.items() if old is not None)}"
        )
    elif not was_put_back and attempt.number <= 1:
        raise RestoreDiffers("nothing that this restore replaced is set aside on the server")
    if is_aside or was_put_back:
        for name, (old, subscriptions) in _recorded(address, attempt.op, attempt).items():
            if old is not None:
                _subscribe(address, name, subscriptions, attempt, "ENABLE")
        drop_old(address, attempt.op, attempt, guard)
    else:
        attempt.say("nothing is set aside any more: an attempt before this one put it back")


def drop_aside(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    with maintenance(address, application(attempt), guard=guard) as session:
        end_sessions(session, attempt)
        attempt.confirm()
    left = drop_old(address, op, attempt, guard)
    if left:
        raise AddonRefused(f"old data remains on the server as {', '.join(left)}")


def drop_old(address: Address, op: str, attempt: Attempt, guard: Guard | None) -> Sequence[str]:
    """Drops the old databases of `op` and its ledger. Returns those that could not be dropped.

    The restored data is in place, so old data that stays is no failure; the log says so. Without an
    undo the ledger is dropped first: the server flushes all new files before it drops anything, and
    need not flush those of the ledger.
    """
    own = application(attempt)
    with maintenance(address, own, guard=guard) as session:
        old_names = list(names(session, old_prefix(op)))
    ledger_last = attempt.op != op or (
        old_ledger_database(op) in old_names and bool(_recorded(address, op, attempt))
    )
    left: list[str] = []
    for name in sorted(
        old_names, key=lambda name: (name == old_ledger_database(op)) is ledger_last
    ):
        try:
            _drop_subscriptions(address, name, attempt)
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


def _recorded(
    address: Address, op: str, attempt: Attempt
) -> Mapping[str, tuple[str | None, Sequence[str]]]:
    """The records by name: what an old database is called now, and its enabled subscriptions.

    Empty where there is no ledger of kept databases, or where it is half dropped.
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


def _drop_subscriptions(address: Address, database: str, attempt: Attempt) -> None:
    """Drops the subscriptions of a database, which keep it from being dropped.

    Their slots stay at the publisher: the restored subscriptions may go on from there.
    """
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
