"""The ledger of a restore: which roles it made, and which changes of roles wait for the swap.

New roles and their record are written in one transaction. A statement that the server refuses is
left out and named; statements for the swap are rehearsed in a transaction that is rolled back,
since the swap must not fail for a reason that could be known before.
"""

import re
from collections.abc import Callable, Iterable, Sequence

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from holdfast.contracts.engine import Address, Attempt, Skipped
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import drop, names
from holdfast.engines.postgresql.client.object_names import application
from holdfast.engines.postgresql.restore.globals import GlobalsPlan
from holdfast.engines.staging_names import LEDGER, is_older_stage, stages_prefix

_TABLES = """
CREATE TABLE public.made (role text PRIMARY KEY);
CREATE TABLE public.later (place int PRIMARY KEY, statement text NOT NULL);
"""
_SETS = re.compile(r"\bSET\b")
_PRELOADS = re.compile(r'SET "?(session|local)_preload_libraries"? TO (.+)', re.DOTALL)
_QUOTED = re.compile(r"'((?:[^']|'')+)'")
_MAX_SHOWN_CHARACTERS = 60
"""Of a statement: it may go on with the verifier of a password."""


def write(
    session: Session, plan: GlobalsPlan, say: Callable[[str], None], *, superuser: bool
) -> Sequence[Skipped]:
    """Writes the ledger into the empty database of `session`. `say` as in `execute_each`."""
    skipped: list[Skipped] = []
    with session.transaction():
        session.execute(_TABLES)
        for statement in plan.needed:
            session.execute(statement.encode())
        skipped += execute_each(session, plan.now, say)
        for role in plan.made:
            session.execute("INSERT INTO public.made VALUES (%s)", [role])
            if not superuser:  # else our user could make nothing for this role to own
                skipped += execute_each(
                    session, [SQL("GRANT {} TO CURRENT_USER").format(Identifier(role))], say
                )
        for position, statement in enumerate(_rehearse(session, plan.later, skipped, say)):
            session.execute("INSERT INTO public.later VALUES (%s, %s)", [position, statement])
    return skipped


def _rehearse(
    session: Session,
    statements: Sequence[str],
    skipped: list[Skipped],
    say: Callable[[str], None],
) -> Sequence[str]:
    """Executes the statements and rolls back. Returns those that the server accepts."""
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
    """Executes each statement by itself, and returns what the server refuses.

    `say` gets a sentence for each setting that the server does not know: newer versions have
    removed some. A statement about the `staged` database is shown as one about `database`.
    """
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
                shown = " ".join((text.replace(staged, database) if staged else text).split())
                shown = shown.partition(" PASSWORD ")[0]
                if len(shown) > _MAX_SHOWN_CHARACTERS:
                    shown = f"{shown[:_MAX_SHOWN_CHARACTERS]}..."
                skipped.append(Skipped(database, "", shown, reason))
    return skipped


def _require_libraries(session: Session, text: str) -> None:
    """Loads libraries that a setting preloads: the server accepts their names unseen.

    With a missing one no session could be opened any more.
    """
    setting = _PRELOADS.search(text)
    if setting is None or session.info.parameter_status("is_superuser") != "on":
        return
    folder = "$libdir/plugins/" if setting[1] == "local" else ""
    for quoted in _QUOTED.findall(setting[2]):
        library = quoted.replace("''", "'")
        path = library if "/" in library else f"{folder}{library}"
        session.execute(SQL("LOAD {}").format(Literal(path)))


def clear(session: Session, address: Address, attempt: Attempt) -> bool:
    """Removes what this and older attempts of the operation staged.

    Databases first, then roles, then ledgers. Returns whether there was anything. A role that is
    used elsewhere by now stays, and the log says so.
    """
    names_staged = names(session, stages_prefix(attempt.op))
    staged = [name for name in names_staged if is_older_stage(name, attempt)]
    ledgers = [name for name in staged if name.endswith(f"_{LEDGER}")]
    for name in staged:
        if name not in ledgers:
            drop(session, name)
    for ledger in ledgers:
        for role in _recorded_roles(session, address, ledger, attempt):
            try:
                session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
            except psycopg.errors.DependentObjectsStillExist:
                attempt.say(f"role {role} was made by this restore and is in use by now: it stays")
        drop(session, ledger)
    return bool(staged)


def _recorded_roles(
    maintenance: Session, address: Address, ledger: str, attempt: Attempt
) -> list[str]:
    """Roles in a ledger. None when it was never written, for then no role was made either.

    None when it is half dropped: the roles were dropped before it.
    """
    half_dropped = "SELECT FROM pg_database WHERE datname = %s AND datconnlimit = -2"
    if maintenance.execute(half_dropped, [ledger]).rowcount:
        return []
    with connect(address, ledger, application(attempt)) as session:
        row = session.execute("SELECT to_regclass('public.made') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return []
        return [row[0] for row in session.execute("SELECT role FROM public.made")]
