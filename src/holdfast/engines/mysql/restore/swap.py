"""Puts staged data in place of the old, and old data that was set aside back in its place.

Until the one statement that moves the tables (`renaming.py`) the target is untouched. After it
there is only one direction: databases get their properties, accounts are created, then the code,
and the old data is dropped, or stays aside with a ledger of its own. Each step can be repeated, and
none keeps the next one from being done: the data is in place, and what the server refuses is
reported.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from holdfast.contracts.engine import Address, Attempt, Dump
from holdfast.domain.errors import Failure, RestoreDiffers
from holdfast.engines import staging_names
from holdfast.engines.mysql.client import facts, session_settings
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_name,
    quote_qualified,
)
from holdfast.engines.mysql.client.server_errors import LOST, error_text, translated
from holdfast.engines.mysql.dump import accounts, stored_code
from holdfast.engines.mysql.dump.inventory import inventory
from holdfast.engines.mysql.dump.stored_code import Code
from holdfast.engines.mysql.restore import definers, foreign_keys, grants, renaming
from holdfast.engines.mysql.restore import views as viewing
from holdfast.engines.mysql.restore.ledger import Ledger, Placement, databases, drop_database
from holdfast.engines.mysql.restore.load import drop_user
from holdfast.engines.mysql.restore.staging import drop_staged, take_over, user_databases
from holdfast.kit.processes.guard import Guard

Say = Callable[[str], None]


def swap(address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
    """Moves the staged data in place and completes it. Repeatable; the ledger goes last."""
    with _exclusive_session(address, attempt, guard) as session:
        ledger = Ledger(session, staging_names.ledger_database(attempt))
        if not ledger.exists():
            _require_done(address, dump, session, attempt)
            attempt.say("the swap was done before")
            return
        if not ledger.moved():
            _move(session, address, ledger, attempt)
        renaming.finish(session, ledger)
        _complete(session, address, ledger, attempt.say)
        incoming = {placement.final for placement in ledger.plan()}
        fate = "stays as it is" if attempt.keep_others else "is dropped"
        for database in user_databases(session):
            if database not in incoming:
                attempt.say(f"database {database} is not in the backup and {fate}")
                if not attempt.keep_others:
                    drop_database(session, database)
        if not attempt.keep_others and address.database:  # the addon's own always exists
            session.execute(f"CREATE DATABASE IF NOT EXISTS {quote_name(address.database)}")
        if attempt.keep_old:
            Ledger(session, staging_names.old_ledger_database(attempt.op)).mark_ready()
        else:
            _drop_databases(session, staging_names.old_prefix(attempt.op), "")
        drop_user(session, attempt)
        # Also what attempts staged that went on after they were taken for dead.
        for database in databases(session, staging_names.stages_prefix(attempt.op)):
            is_older = staging_names.is_older_stage(database, attempt)
            if is_older and database != staging_names.ledger_database(attempt):
                drop_database(session, database)
        ledger.close()


def put_back(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    """Puts the old data of restore `op` back and drops the restored data.

    The ledger stays for repetitions; `drop_aside` removes it.
    """
    with _exclusive_session(address, attempt, guard) as session:
        ledger = Ledger(session, staging_names.old_ledger_database(op))
        if not ledger.exists():
            raise RestoreDiffers("nothing of this restore is set aside on the server any more")
        if not ledger.moved():
            if not ledger.ready():
                raise RestoreDiffers("the old data was not set aside as a whole")
            leaving = _existing(
                session,
                [*(placement.final for placement in ledger.plan()), *ledger.new_databases()],
            )
            renaming.move(session, ledger, attempt.op, leaving)
            attempt.say(
                f"back in place: {', '.join(placement.final for placement in ledger.plan())}"
            )
        renaming.finish(session, ledger)
        _complete(session, address, ledger, attempt.say)
        new_databases = set(ledger.new_databases()) - {
            placement.final for placement in ledger.plan()
        }
        for database in new_databases:
            if all(table["type"] == "VIEW" for table in facts.tables(session, database)):
                drop_database(session, database)
        for prefix in (staging_names.old_prefix(attempt.op), staging_names.old_prefix(op)):
            _drop_databases(session, prefix, ledger.database)


def drop_aside(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    with _exclusive_session(address, attempt, guard) as session:
        prefix = staging_names.old_prefix(op)
        _drop_databases(session, prefix, staging_names.old_ledger_database(op))
        drop_database(session, staging_names.old_ledger_database(op))


@contextmanager
def _exclusive_session(
    address: Address, attempt: Attempt, guard: Guard | None = None
) -> Generator[Session]:
    """The session of the only attempt that may act, with the settings for loading."""
    with translated(guard), connect(address) as session:
        take_over(session, attempt)
        session_settings.apply_loading_settings(session)
        yield session


def _drop_databases(session: Session, prefix: str, ledger: str) -> None:
    """Drops all databases with this prefix but the ledger, which goes last."""
    for database in databases(session, prefix):
        if database != ledger:
            drop_database(session, database)


def _move(session: Session, address: Address, ledger: Ledger, attempt: Attempt) -> None:
    if not ledger.ready():
        raise RestoreDiffers("not everything was staged")
    plan = ledger.plan()
    missing = {placement.staged for placement in plan} - set(
        databases(session, staging_names.stage_prefix(attempt))
    )
    if missing:
        raise RestoreDiffers(f"nothing is staged in {', '.join(sorted(missing))}")
    leaving = _existing(session, [placement.final for placement in plan])
    if not attempt.keep_others:
        leaving += [database for database in user_databases(session) if database not in leaving]
    if attempt.keep_old:
        _write_old_book(session, address, ledger, leaving, attempt)
    renaming.move(session, ledger, attempt.op, leaving)
    attempt.say(f"in place: {', '.join(placement.final for placement in plan)}")


def _existing(session: Session, candidates: Sequence[str]) -> list[str]:
    present = set(user_databases(session))
    return [database for database in candidates if database in present]


def _write_old_book(
    session: Session, address: Address, ledger: Ledger, leaving: Sequence[str], attempt: Attempt
) -> None:
    """Records what an undo needs; `mark_ready` follows when the old data is aside."""
    old = Ledger(session, staging_names.old_ledger_database(attempt.op))
    drop_database(session, old.database)
    old.open()
    away = renaming.old_databases(attempt.op, leaving)
    plan = [
        Placement(
            database["name"],
            away[database["name"]],
            database["charset"],
            database["collation"],
            database["comment"],
        )
        for database in facts.databases(session)
        if database["name"] in away
    ]
    unread: list[str] = []
    codes = [code for database in leaving for code in stored_code.read(session, database, unread)]
    for sentence in unread:
        attempt.say(f"an undo could not bring back {sentence}")
    script = accounts.script(session, facts.server(session)["flavour"], address.owner)
    lines = [line for line in script.splitlines() if line and not line.startswith("--")]
    old.write(plan, codes, [line.removesuffix(";") for line in lines])
    for placement in ledger.plan():
        if placement.final not in leaving:
            old.record_new_database(placement.final)
    if accounts.readable(session):
        old.record_account_removals(grants.undo_statements(session, address, ledger.accounts()))


def _complete(session: Session, address: Address, ledger: Ledger, say: Say) -> None:
    """Gives moved tables all else of their databases: properties, accounts, code, definers."""
    plan = ledger.plan()
    for placement in plan:
        comment = (
            f" COMMENT = {session.literal(placement.comment)}"
            if "MariaDB" in session.banner
            else ""  # MySQL has none
        )
        try:
            session.execute(
                f"ALTER DATABASE {quote_name(placement.final)} CHARACTER SET {placement.charset}"
                f" COLLATE {placement.collation}{comment}"
            )
        except WireError as error:
            _say_unless_lost(error, f"database {placement.final} keeps its properties", say)
        _point_sequences(session, placement.final, plan, say)
        for sentence in stored_code.drop(session, placement.final):
            say(sentence)
    for refused in grants.run(session, [*ledger.account_removals(), *ledger.preparations()]):
        say(refused.sentence())
    early = grants.apply(session, address, ledger.accounts(), say)
    codes = ledger.codes()
    problems = list(stored_code.create_all(session, codes, _same_name))
    if any(problem.code.kind == "views" for problem in problems):
        problems = [problem for problem in problems if problem.code.kind != "views"]
        views = [code for code in codes if code.kind == "views"]
        problems += viewing.create_views(session, views, _same_name)
    for problem in problems:
        say(f"not made, because the server does not take it: {problem.sentence()}")
    for refused in grants.run(session, [problem.statement for problem in early]):
        say(refused.sentence())
    final_names = {placement.staged: placement.final for placement in plan}
    foreign_keys.repoint(
        session, [*ledger.foreign_keys(), *foreign_keys.left_at_stage(session, final_names)], say
    )
    _report_missing(session, codes, say)


def _same_name(database: str) -> str:
    return database


def _report_missing(session: Session, codes: Sequence[Code], say: Say) -> None:
    """Reports expired events, which a server drops at once, and missing definers."""
    for database in {code.database for code in codes if code.kind == "events"}:
        present = set(stored_code.list_objects(session, database))
        for code in codes:
            dropped = (code.kind, code.name) not in present
            if code.database == database and code.kind == "events" and dropped:
                say(f"event {database}.{code.name} is over: the server drops such at once")
    for sentence in definers.missing_definers(session, codes):
        say(sentence)


def _say_unless_lost(error: WireError, text: str, say: Say) -> None:
    if error_number(error) in LOST:
        raise error
    say(f"{text}: {error_text(error)}")


def _point_sequences(session: Session, database: str, plan: Sequence[Placement], say: Say) -> None:
    """Corrects column defaults that still name a sequence in its staging database."""
    columns = session.rows(
        "SELECT table_name, column_name, column_default FROM information_schema.columns"
        " WHERE table_schema = %s AND column_default LIKE %s",
        [database, "%`holdfast\\_%"],
    )
    for table, column, default in columns:
        text = str(default)
        for placed in plan:
            text = text.replace(f"{quote_name(placed.staged)}.", f"{quote_name(placed.final)}.")
        try:
            session.execute(
                f"ALTER TABLE {quote_qualified(database, table)}"
                f" ALTER COLUMN {quote_name(column)} SET DEFAULT ({text})"
            )
        except WireError as error:
            _say_unless_lost(error, f"the default of {database}.{table}.{column} is {text}", say)


def _require_done(address: Address, dump: Dump, session: Session, attempt: Attempt) -> None:
    """RestoreDiffers unless the missing stage means that all is done: it may have been removed."""
    if databases(session, staging_names.stage_prefix(attempt)):
        raise RestoreDiffers("what was staged is no longer whole")
    present = {(table.database, table.name) for table in inventory(address).tables}
    expected = {(t.database or address.database, t.name) for t in dump.inventory.tables}
    if expected - present:
        raise RestoreDiffers("nothing is staged, and what was to be restored is not there")


def discard(address: Address, attempt: Attempt) -> str:
    """Undoes an attempt whose data has not moved; completes one whose data has."""
    try:
        with _exclusive_session(address, attempt) as session:
            ledger = Ledger(session, staging_names.ledger_database(attempt))
            if ledger.exists() and ledger.moved():
                unmade: list[str] = []
                renaming.finish(session, ledger)
                _complete(session, address, ledger, unmade.append)
                _drop_databases(session, staging_names.old_prefix(attempt.op), "")
                drop_staged(session, attempt)
                missing = "".join(f"; {sentence}" for sentence in unmade)
                return f"the restored data is in place; the old data is gone{missing}"
            if ledger.exists() and ledger.ready():
                for database in ledger.new_databases():
                    if not facts.tables(session, database):  # others may have found a use for it
                        drop_database(session, database)
            staged = drop_staged(session, attempt)
            _drop_databases(session, staging_names.old_prefix(attempt.op), "")
            return "the target is as it was" + ("; what was staged is removed" if staged else "")
    except Failure as error:
        raise type(error)(
            f"the state of the target is not known, and databases named holdfast_* may remain: "
            f"{error.message}",
            **error.facts,
        ) from error
