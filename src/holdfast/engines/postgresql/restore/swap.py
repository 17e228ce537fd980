"""Puts staged databases in place of the old ones: one transaction of renames, then drops.

ALTER DATABASE ... RENAME is transactional, so all databases and all changes to roles appear
together or not at all; no marker has to survive a crash between two of them.

Names tell a repeated attempt how far the swap came: while any staged database exists nothing was
swapped; while any old one exists everything was, and only drops remain. One of them exists until
the end, because where nothing is replaced there is a ledger.
"""

from collections.abc import Sequence

from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address, Attempt, Dump
from holdfast.domain.errors import Failure, RestoreDiffers
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import drop, maintenance, names
from holdfast.engines.postgresql.client.object_names import application, is_ours
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.dump import inventory
from holdfast.engines.postgresql.dump.dump import end_sessions
from holdfast.engines.postgresql.restore import old_databases
from holdfast.engines.postgresql.restore.layout import SYSTEM, Placement, placements
from holdfast.engines.postgresql.restore.ledger import clear
from holdfast.engines.postgresql.restore.renaming import Rename, rename
from holdfast.engines.staging_names import (
    is_older_stage,
    ledger_database,
    old_ledger_database,
    old_prefix,
    stage_prefix,
    stages_prefix,
)
from holdfast.kit.processes.guard import Guard


def swap(address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
    placed = placements(address, dump, attempt)
    own = application(attempt)
    with maintenance(address, own, avoid=_at_stake(placed), guard=guard) as session:
        end_sessions(session, attempt)
        attempt.confirm()
        if names(session, stage_prefix(attempt)):
            _rename_all(address, session, placed, attempt)
        elif not names(session, old_prefix(attempt.op)):
            _require_swapped(address, dump, placed, set(names(session)))
            attempt.say("the swap was done before")
    if attempt.keep_old:
        old_databases.finish_keeping(address, attempt, guard)
    else:
        old_databases.drop_old(address, attempt.op, attempt, guard)
    with maintenance(address, own, avoid=_at_stake(placed), guard=guard) as session:
        # Older attempts that were taken for dead may have gone on staging for a while.
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
    ledger, outgoing = ledger_database(attempt), _outgoing(session, placed, attempt)
    later: list[str] = []
    if ledger in present:
        with connect(address, ledger, application(attempt)) as ledger_session:
            statements = ledger_session.execute(
                "SELECT statement FROM public.later ORDER BY place"
            ).fetchall()
        later = [row[0] for row in statements]
    if attempt.keep_old:
        if ledger not in present:
            session.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(ledger)))
            present.add(ledger)
        old_databases.record(
            address, ledger, attempt, _at_stake(placed), {r.before: r.after for r in outgoing}
        )
    renames = [
        *outgoing,
        *(Rename(placement.staged, placement.name) for placement in placed),
        *([Rename(ledger, old_ledger_database(attempt.op))] if ledger in present else []),
    ]
    rows = session.execute(
        "SELECT slot_name::text, database::text FROM pg_replication_slots"
        " WHERE slot_type = 'logical' AND database = ANY(%s) ORDER BY 1",
        [[old.before for old in outgoing]],
    )
    for slot, database in rows.fetchall():
        attempt.say(
            f"logical replication slot {slot} belongs to the old {database} and goes with it"
        )
    rename(address, session, attempt, renames, later)
    attempt.say(f"in place: {', '.join(placement.name for placement in placed)}")


def _outgoing(session: Session, placed: Sequence[Placement], attempt: Attempt) -> list[Rename]:
    """Renames of databases of the same names and, on a server of ours, of all others.

    Also of half-dropped ones. A database that allows no connections is in no dump, so it stays.
    """
    incoming = _at_stake(placed)
    present = [name for name in names(session) if name in incoming]
    rows = session.execute("SELECT datname::text FROM pg_database WHERE datallowconn ORDER BY 1")
    others = [
        name
        for (name,) in rows
        if name not in incoming and name not in SYSTEM and not is_ours(name)
    ]
    fate = "stays as it is" if attempt.keep_others else "is dropped"
    for name in others:
        attempt.say(f"database {name} is not in the backup and {fate}")
    going = present if attempt.keep_others else [*present, *others]
    prefix = old_prefix(attempt.op)
    return [Rename(name, f"{prefix}{n}") for n, name in enumerate(going)]


def _require_swapped(
    address: Address, dump: Dump, placed: Sequence[Placement], present: set[str]
) -> None:
    """RestoreDiffers unless the restored tables are there.

    Nothing is staged and nothing is to drop: either the swap is done, or the staged databases were
    removed. Only tables are compared: rows may have changed since, for the database is in use
    again.
    """
    missing = [placement.name for placement in placed if placement.name not in present]
    if missing:
        raise RestoreDiffers(f"nothing is staged for {', '.join(missing)}")
    for placement in placed:
        with translated(), connect(address, placement.name) as session:
            tables = inventory.table_names(session)
        expected = {t.name for t in dump.inventory.tables if t.database == placement.name}
        if expected and not expected & tables:
            raise RestoreDiffers(
                f"nothing is staged, and {placement.name} holds none of its tables"
            )


def discard(address: Address, attempt: Attempt) -> str:
    """Before the swap: removes all that was staged. After it: finishes the swap."""
    own = application(attempt)
    try:
        with maintenance(address, own) as session:
            end_sessions(session, attempt)
            swapped = bool(names(session, old_prefix(attempt.op)))
            staged = clear(session, address, attempt)
        left = old_databases.drop_old(address, attempt.op, attempt, None) if swapped else ()
    except Failure as error:
        raise type(error)(
            f"the state of the target is not known, and databases named holdfast_* may remain: "
            f"{error.message}",
            **error.facts,
        ) from error
    if swapped:
        fate = f"remains as {', '.join(left)}" if left else "is gone"
        return f"the restored data is in place; the old data {fate}"
    return "the target is as it was" + ("; what was staged is removed" if staged else "")
