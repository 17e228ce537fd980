"""Puts staged data in place of the old, and old data that was set aside back in its place.

Until the one statement that moves the tables (`exchange.py`) nothing of the target is touched.
After it there is only one direction: databases get their properties, accounts are made, then the
code, and the old data goes, or stays aside with a book of its own. Each of these can be repeated,
and none of them keeps the next one from being done: the data is in place, and what the server does
not take is said.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from holdfast.contracts.engine import Address, Attempt, Dump
from holdfast.contracts.engine import Table as CountedTable
from holdfast.domain.errors import Failure, RestoreDiffers
from holdfast.engines.mysql.client import facts, object_names, session_settings
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session, WireError, name
from holdfast.engines.mysql.client.connection import code as number
from holdfast.engines.mysql.client.server_errors import LOST, said, translated
from holdfast.engines.mysql.dump import accounts, stored_code
from holdfast.engines.mysql.dump.inventory import inventory
from holdfast.engines.mysql.dump.stored_code import Code, Refused
from holdfast.engines.mysql.restore import definers, foreign_keys, grants, renaming
from holdfast.engines.mysql.restore import views as viewing
from holdfast.engines.mysql.restore.ledger import Book, Placement, databases, drop_database
from holdfast.engines.mysql.restore.load import drop_user
from holdfast.engines.mysql.restore.staging import become_only, clear, user_databases
from holdfast.kit.processes.guard import Guard

Say = Callable[[str], None]


def swap(address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
    with _acting(address, attempt, guard) as session:
        book = Book(session, object_names.book(attempt))
        if not book.exists():
            _require_done(address, dump, session, attempt)
            attempt.say("the swap was done before")
            return
        if not book.moved():
            _move(session, address, book, attempt)
        _finish(session, address, book, attempt)


def put_back(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    """The old data that restore `op` set aside comes back; what is in its place is dropped. The
    book stays, so that a repetition knows; `drop_aside` removes it."""
    with _acting(address, attempt, guard) as session:
        book = Book(session, object_names.old_book(op))
        if not book.exists():
            raise RestoreDiffers("nothing of this restore is set aside on the server any more")
        if not book.moved():
            if not book.ready():
                raise RestoreDiffers("the old data was not set aside as a whole")
            leaving = _present(
                session, [*(placement.final for placement in book.plan()), *book.fresh()]
            )
            renaming.move(session, book, attempt.op, leaving)
            attempt.say(f"back in place: {', '.join(placement.final for placement in book.plan())}")
        renaming.finish(session, book)
        _settle(session, address, book, attempt.say)
        new_databases = set(book.fresh()) - {placement.final for placement in book.plan()}
        for database in new_databases:
            if all(table["type"] == "VIEW" for table in facts.tables(session, database)):
                drop_database(session, database)
        for prefix in (object_names.old_prefix(attempt.op), object_names.old_prefix(op)):
            _drop_databases(session, prefix, book.database)


def drop_aside(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    with _acting(address, attempt, guard) as session:
        prefix = object_names.old_prefix(op)
        _drop_databases(session, prefix, object_names.old_book(op))
        drop_database(session, object_names.old_book(op))


@contextmanager
def _acting(address: Address, attempt: Attempt, guard: Guard | None = None) -> Generator[Session]:
    """The session of the one attempt that may act; it takes what tables of other servers are."""
    with translated(guard), connect(address) as session:
        become_only(session, attempt)
        session_settings.loosen(session)
        yield session


def _drop_databases(session: Session, prefix: str, book: str) -> None:
    """All with this prefix but the book, which goes last."""
    for database in databases(session, prefix):
        if database != book:
            drop_database(session, database)


def _move(session: Session, address: Address, book: Book, attempt: Attempt) -> None:
    if not book.ready():
        raise RestoreDiffers("not everything was staged")
    plan = book.plan()
    missing = {placement.staged for placement in plan} - set(
        databases(session, object_names.stage_prefix(attempt))
    )
    if missing:
        raise RestoreDiffers(f"nothing is staged in {', '.join(sorted(missing))}")
    leaving = _present(session, [placement.final for placement in plan])
    if not attempt.keep_others:
        leaving += [placement for placement in user_databases(session) if placement not in leaving]
    if attempt.keep_old:
        _write_old_book(session, address, book, leaving, attempt)
    renaming.move(session, book, attempt.op, leaving)
    attempt.say(f"in place: {', '.join(placement.final for placement in plan)}")


def _present(session: Session, candidates: Sequence[str]) -> list[str]:
    present = set(user_databases(session))
    return [database for database in candidates if database in present]


def _write_old_book(
    session: Session, address: Address, book: Book, leaving: Sequence[str], attempt: Attempt
) -> None:
    """What has to be known to put the old data back. `mark_ready` comes when it is aside."""
    old = Book(session, object_names.old_book(attempt.op))
    drop_database(session, old.database)
    old.open()
    away = renaming.aside(attempt.op, leaving)
    plan = [
        Placement(
            each["name"], away[each["name"]], each["charset"], each["collation"], each["comment"]
        )
        for each in facts.databases(session)
        if each["name"] in away
    ]
    unread: list[str] = []
    codes = [each for database in leaving for each in stored_code.read(session, database, unread)]
    for sentence in unread:
        attempt.say(f"an undo could not bring back {sentence}")
    old.write(plan, codes, _accounts(session, address))
    for each in book.plan():
        if each.final not in leaving:
            old.note_fresh(each.final)
    if accounts.readable(session):
        old.keep_strays(grants.undoing(session, address, book.accounts()))


def _accounts(session: Session, address: Address) -> list[str]:
    flavour = facts.server(session)["flavour"]
    lines = accounts.script(session, flavour, address.owner).splitlines()
    return [line.removesuffix(";") for line in lines if line and not line.startswith("--")]


def _finish(session: Session, address: Address, book: Book, attempt: Attempt) -> None:
    """Everything after the data has moved. Repeatable; the book goes last."""
    renaming.finish(session, book)
    _settle(session, address, book, attempt.say)
    _drop_others(session, address, book.plan(), attempt)
    if attempt.keep_old:
        Book(session, object_names.old_book(attempt.op)).mark_ready()
    else:
        _drop_databases(session, object_names.old_prefix(attempt.op), "")
    _drop_staged(session, attempt)
    book.close()


def _settle(session: Session, address: Address, book: Book, say: Say) -> None:
    """Makes moved tables a database again: its properties, its code, and whose that is."""
    plan = book.plan()
    for each in plan:
        _set_properties(session, each, say)
        _point_sequences(session, each.final, plan, say)
        for sentence in stored_code.drop(session, each.final):
            say(sentence)
    for refused in grants.run(session, [*book.strays(), *book.readying()]):
        say(refused.sentence())
    early = grants.apply(session, address, book.accounts(), say)
    for problem in _make_code(session, book.codes()):
        say(f"not made, because the server does not take it: {problem.sentence()}")
    for refused in grants.run(session, [each.statement for each in early]):
        say(refused.sentence())
    homes = {each.staged: each.final for each in plan}
    foreign_keys.point(session, [*book.links(), *foreign_keys.stranded(session, homes)], say)
    _say_what_is_gone(session, book.codes(), say)


def _make_code(session: Session, codes: Sequence[Code]) -> Sequence[Refused]:
    refused = list(stored_code.make(session, codes, _in_place))
    if not any(each.code.kind == "views" for each in refused):
        return refused
    rest = [each for each in refused if each.code.kind != "views"]
    views = [each for each in codes if each.kind == "views"]
    return [*rest, *viewing.make_all(session, views, _in_place)]


def _in_place(database: str) -> str:
    return database


def _say_what_is_gone(session: Session, codes: Sequence[Code], say: Say) -> None:
    """Events whose time is over, which a server drops at once; definers that are not there."""
    for database in {code.database for code in codes if code.kind == "events"}:
        present = set(stored_code.present(session, database))
        for code in codes:
            dropped = (code.kind, code.name) not in present
            if code.database == database and code.kind == "events" and dropped:
                say(f"event {database}.{code.name} is over: the server drops such at once")
    for sentence in definers.homeless(session, codes):
        say(sentence)


def _set_properties(session: Session, placed: Placement, say: Say) -> None:
    comment = (
        f" COMMENT = {session.literal(placed.comment)}"
        if "MariaDB" in session.banner
        else ""  # MySQL has none
    )
    try:
        session.execute(
            f"ALTER DATABASE {name(placed.final)} CHARACTER SET {placed.charset}"
            f" COLLATE {placed.collation}{comment}"
        )
    except WireError as error:
        _say_unless_lost(error, f"database {placed.final} keeps its properties", say)


def _say_unless_lost(error: WireError, text: str, say: Say) -> None:
    if number(error) in LOST:
        raise error
    say(f"{text}: {said(error)}")


def _drop_staged(session: Session, attempt: Attempt) -> None:
    """Also what attempts left that were taken for dead and went on staging for a while."""
    drop_user(session, attempt)
    for database in databases(session, object_names.stages_prefix(attempt.op)):
        if database != object_names.book(attempt) and object_names.is_older_stage(
            database, attempt
        ):
            drop_database(session, database)


def _point_sequences(session: Session, database: str, plan: Sequence[Placement], say: Say) -> None:
    """Columns that take their default from a sequence still name it where it was before."""
    columns = session.rows(
        "SELECT table_name, column_name, column_default FROM information_schema.columns"
        " WHERE table_schema = %s AND column_default LIKE %s",
        [database, "%`holdfast\\_%"],
    )
    for table, column, default in columns:
        text = str(default)
        for placed in plan:
            text = text.replace(f"{name(placed.staged)}.", f"{name(placed.final)}.")
        try:
            session.execute(
                f"ALTER TABLE {name(database)}.{name(table)}"
                f" ALTER COLUMN {name(column)} SET DEFAULT ({text})"
            )
        except WireError as error:
            _say_unless_lost(error, f"the default of {database}.{table}.{column} is {text}", say)


def _drop_others(
    session: Session, address: Address, plan: Sequence[Placement], attempt: Attempt
) -> None:
    """On a server of ours the dump is everything; its own database never vanishes."""
    incoming = {each.final for each in plan}
    fate = "stays as it is" if attempt.keep_others else "is dropped"
    for each in user_databases(session):
        if each not in incoming:
            attempt.say(f"database {each} is not in the backup and {fate}")
            if not attempt.keep_others:
                drop_database(session, each)
    if not attempt.keep_others and address.database:
        session.execute(f"CREATE DATABASE IF NOT EXISTS {name(address.database)}")


def _require_done(address: Address, dump: Dump, session: Session, attempt: Attempt) -> None:
    """Nothing is staged: either all is done, or somebody removed the stage."""
    if databases(session, object_names.stage_prefix(attempt)):
        raise RestoreDiffers("what was staged is no longer whole")
    present = {_place_of(table) for table in inventory(address).tables}
    expected = {(t.database or address.database, t.name) for t in dump.inventory.tables}
    if expected - present:
        raise RestoreDiffers("nothing is staged, and what was to be restored is not there")


def _place_of(table: CountedTable) -> tuple[str, str]:
    return table.database, table.name


def discard(address: Address, attempt: Attempt) -> str:
    """Before the data moved: takes everything away again. After it: finishes what can be."""
    try:
        with _acting(address, attempt) as session:
            return _discard(session, address, attempt)
    except Failure as error:
        raise type(error)(
            f"the state of the target is not known, and databases named holdfast_* may remain: "
            f"{error.message}",
            **error.facts,
        ) from error


def _discard(session: Session, address: Address, attempt: Attempt) -> str:
    book = Book(session, object_names.book(attempt))
    if book.exists() and book.moved():
        unmade: list[str] = []
        renaming.finish(session, book)
        _settle(session, address, book, unmade.append)
        _drop_databases(session, object_names.old_prefix(attempt.op), "")
        clear(session, attempt)
        missing = "".join(f"; {sentence}" for sentence in unmade)
        return f"the restored data is in place; the old data is gone{missing}"
    if book.exists() and book.ready():
        for database in book.fresh():
            if not facts.tables(session, database):  # others may have found a use for it
                drop_database(session, database)
    staged = clear(session, attempt)
    _drop_databases(session, object_names.old_prefix(attempt.op), "")
    return "the target is as it was" + ("; what was staged is removed" if staged else "")
