"""The book of a restore: which roles it made, and which changes of roles wait for the swap.

Roles and the note of them are written in one transaction. A statement that the server refuses is
left out and named; what waits is rehearsed in a transaction that is rolled back, since nothing may
fail in the swap for a reason that is known before.
"""

import re
from collections.abc import Callable, Iterable, Sequence

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from holdfast.contracts.engine import Address, Attempt, Skipped
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import drop, names
from holdfast.engines.postgresql.client.object_names import (
    LEDGER,
    application,
    is_older_stage,
    stages_prefix,
)
from holdfast.engines.postgresql.restore.globals import GlobalsPlan

_TABLES = """
CREATE TABLE public.made (role text PRIMARY KEY);
CREATE TABLE public.later (place int PRIMARY KEY, statement text NOT NULL);
"""
_SETS = re.compile(r"\bSET\b")
_PRELOADS = re.compile(r'SET "?(session|local)_preload_libraries"? TO (.+)', re.DOTALL)
_QUOTED = re.compile(r"'((?:[^']|'')+)'")
_MAX_SHOWN_CHARACTERS = 60
"""Characters of a statement: behind them may be a verifier of a password."""


def write(
    session: Session, plan: GlobalsPlan, say: Callable[[str], None], *, superuser: bool
) -> Sequence[Skipped]:
    """`session` is in the book, which is empty. `say` as in `attempted`."""
    skipped: list[Skipped] = []
    with session.transaction():
        session.execute(_TABLES)
        for statement in plan.needed:
            session.execute(statement.encode())
        skipped += execute_each(session, plan.now, say)
        for role in plan.made:
            session.execute("INSERT INTO public.made VALUES (%s)", [role])
            if not superuser:  # or it could make nothing for this role to own
                skipped += execute_each(
                    session, [SQL("GRANT {} TO CURRENT_USER").format(Identifier(role))], say
                )
        for position, statement in enumerate(_rehearsed(session, plan.later, skipped, say)):
            session.execute("INSERT INTO public.later VALUES (%s, %s)", [position, statement])
    return skipped


def _rehearsed(
    session: Session,
    statements: Sequence[str],
    skipped: list[Skipped],
    say: Callable[[str], None],
) -> Sequence[str]:
    accepted: list[str] = []
    notes: list[str] = []
    with session.transaction(force_rollback=True):
        for statement in statements:
            note_count = len(notes)
            refused = execute_each(session, [statement], notes.append)
            skipped += refused
            accepted += [] if refused or len(notes) > note_count else [statement]
    for note in notes:
        say(note)
    return accepted


def execute_each(
    session: Session,
    statements: Iterable[str | Composed],
    say: Callable[[str], None],
    database: str = "",
    staged: str = "",
) -> Sequence[Skipped]:
    """Carries out each by itself, and returns what the server refuses. `say` is told of settings
    that it does not know: newer versions have done away with them. A statement about the `staged`
    database is shown as one about `database`."""
    skipped: list[Skipped] = []
    for statement in statements:
        text = statement if isinstance(statement, str) else statement.as_string(session)
        try:
            with session.transaction():
                _require_libraries(session, text)
                session.execute(text.encode())
        except psycopg.Error as error:
            if session.broken or isinstance(error, psycopg.errors.QueryCanceled):
                raise
            reason = " ".join(str(error).split())
            if isinstance(error, psycopg.errors.UndefinedObject) and _SETS.search(text):
                say(f"a setting this server no longer knows was left out: {reason}")
            else:
                shown = _shown(text.replace(staged, database) if staged else text)
                skipped.append(Skipped(database, "", shown, reason))
    return skipped


def _require_libraries(session: Session, text: str) -> None:
    """One that is not there would let nobody in any more, and the server takes its name unseen."""
    setting = _PRELOADS.search(text)
    if setting is None or session.info.parameter_status("is_superuser") != "on":
        return
    folder = "$libdir/plugins/" if setting[1] == "local" else ""
    for quoted in _QUOTED.findall(setting[2]):
        library = quoted.replace("''", "'")
        path = library if "/" in library else f"{folder}{library}"
        session.execute(SQL("LOAD {}").format(Literal(path)))


def _shown(text: str) -> str:
    words = " ".join(text.split()).partition(" PASSWORD ")[0]
    return words if len(words) <= _MAX_SHOWN_CHARACTERS else f"{words[:_MAX_SHOWN_CHARACTERS]}..."


def clear(session: Session, address: Address, attempt: Attempt) -> bool:
    """Removes what attempts of this operation up to this one staged: databases first, then roles,
    then the books.

    Says whether there was anything. A role that got a use elsewhere in the meantime stays, and
    the log says so.
    """
    mine = names(session, stages_prefix(attempt.op))
    staged = [name for name in mine if is_older_stage(name, attempt)]
    books = [name for name in staged if name.endswith(f"_{LEDGER}")]
    for name in staged:
        if name not in books:
            drop(session, name)
    for kept_book in books:
        for role in _made(session, address, kept_book, attempt):
            try:
                session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
            except psycopg.errors.DependentObjectsStillExist:
                attempt.say(f"role {role} was made by this restore and is in use by now: it stays")
        drop(session, kept_book)
    return bool(staged)


def _made(door: Session, address: Address, kept_book: str, attempt: Attempt) -> list[str]:
    """Empty when the book was never written: then no role was made either. When it was half
    dropped they went before it."""
    half = "SELECT FROM pg_database WHERE datname = %s AND datconnlimit = -2"
    if door.execute(half, [kept_book]).rowcount:
        return []
    with connect(address, kept_book, application(attempt)) as session:
        row = session.execute("SELECT to_regclass('public.made') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return []
        return [row[0] for row in session.execute("SELECT role FROM public.made")]
