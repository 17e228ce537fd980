"""Puts staged data in place of the old: one RENAME TABLE of everything, then what names its place.

RENAME TABLE moves tables between databases, all or none, also when the server crashes. Views and
triggers of the old tables would be in its way and are taken off just before; the book remembers
them until the data has moved. After that there is only one direction: the definitions are made in
place, the accounts follow, and what is old goes. Each of these can be repeated.
"""

from collections.abc import Callable, Sequence

from holdfast.contracts.engine import Address, Attempt, Dump
from holdfast.domain.errors import AddonRefused, AddonUnavailable, Failure, RestoreDiffers
from holdfast.engines.mysql import code, facts, granting, naming
from holdfast.engines.mysql.address import connect
from holdfast.engines.mysql.book import AFTER, BEFORE, Book, Placement, databases, drop_database
from holdfast.engines.mysql.code import Refused
from holdfast.engines.mysql.complaints import translated
from holdfast.engines.mysql.inventory import inventory
from holdfast.engines.mysql.loading import drop_user
from holdfast.engines.mysql.staging import become_only, clear, user_databases
from holdfast.engines.mysql.wire import Session, WireError, name
from holdfast.engines.mysql.wire import code as number
from holdfast.kit.guard import Guard

_TRIES = 5
_WAIT_SECONDS = 3
_LOCKED = (1205, 1213)
_IN_THE_WAY = ("views", "triggers")


def swap(address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
    with translated(guard), connect(address) as session:
        become_only(session, attempt)
        book = Book(session, attempt)
        if not book.exists():
            _require_done(address, dump, session, attempt)
            attempt.say("the swap was done before")
            return
        if not book.moved():
            if not book.ready():
                raise RestoreDiffers("not everything was staged")
            _move(session, book, attempt)
        _finish(session, address, book, dump, attempt)


def _move(session: Session, book: Book, attempt: Attempt) -> None:
    plan = book.plan()
    staged = set(databases(session, naming.stage_prefix(attempt)))
    missing = {each.staged for each in plan} - staged
    if missing:
        raise RestoreDiffers(f"nothing is staged in {', '.join(sorted(missing))}")
    present = set(user_databases(session))
    old = [each for each in plan if each.final in present]
    book.keep_previous(
        kept for each in old for kept in list(code.read(session, each.final, _IN_THE_WAY))
    )
    renames: list[tuple[str, str]] = []
    for place, each in enumerate(plan):
        if each.final not in present:
            book.note_fresh(each.final)
            session.execute(f"CREATE DATABASE IF NOT EXISTS {name(each.final)}")
        else:
            aside = f"{naming.old_prefix(attempt.op)}{place}"
            session.execute(f"CREATE DATABASE IF NOT EXISTS {name(aside)}")
            renames += _between(session, each.final, aside)
    for each in plan:
        renames += _between(session, each.staged, each.final)
    renames.append((book.table(BEFORE), book.table(AFTER)))

    def move() -> None:
        for each in old:
            code.drop(session, each.final, _IN_THE_WAY)
        _rename(session, renames)

    _insist(session, [each.final for each in plan], move)
    attempt.say(f"in place: {', '.join(each.final for each in plan)}")


def _between(session: Session, source: str, target: str) -> list[tuple[str, str]]:
    return [
        (f"{name(source)}.{name(table['name'])}", f"{name(target)}.{name(table['name'])}")
        for table in facts.tables(session, source)
        if table["type"] != "VIEW"
    ]


def _rename(session: Session, renames: Sequence[tuple[str, str]]) -> None:
    listed = ", ".join(f"{old} TO {new}" for old, new in renames)
    session.execute(f"RENAME TABLE {listed}")


def _insist(session: Session, held: Sequence[str], action: Callable[[], None]) -> None:
    """Who holds something in these databases for too long is sent away."""
    session.execute(f"SET SESSION foreign_key_checks = 0, lock_wait_timeout = {_WAIT_SECONDS}")
    for remaining in reversed(range(_TRIES)):
        try:
            action()
            break
        except WireError as error:
            if number(error) not in _LOCKED:
                raise
            if remaining == 0:
                raise AddonUnavailable(
                    f"sessions of others hold the tables and do not let go: {error.args[-1]}",
                    reason="lock",
                ) from error
            _send_away(session, held)
    session.execute("SET SESSION lock_wait_timeout = 60")


def _send_away(session: Session, databases: Sequence[str]) -> None:
    marks = ", ".join(["%s"] * len(databases))
    for (thread,) in session.rows(
        f"SELECT id FROM information_schema.processlist WHERE db IN ({marks})"  # noqa: S608
        " AND id <> connection_id()",
        list(databases),
    ):
        try:
            session.execute(f"KILL {int(thread)}")
        except WireError as error:
            if number(error) == 1095:
                raise AddonRefused(
                    "sessions of others hold the tables, and this user may not end them",
                    reason="lock",
                ) from error


def _finish(session: Session, address: Address, book: Book, dump: Dump, attempt: Attempt) -> None:
    """Everything after the data has moved. Repeatable; the book goes last."""
    plan = book.plan()
    refused = _settle(session, book)
    granting.apply(session, address, dump, book.accounts(), attempt.say)
    _drop_others(session, address, plan, attempt)
    for each in databases(session, naming.old_prefix(attempt.op)):
        drop_database(session, each)
    _drop_staged(session, attempt)
    if refused:
        listed = "; ".join(each.sentence() for each in refused[:5])
        raise RestoreDiffers(f"the data is in place, but the server does not take {listed}")
    book.close()


def _settle(session: Session, book: Book) -> Sequence[Refused]:
    """What makes moved tables a database again: its properties and its code."""
    plan = book.plan()
    for each in plan:
        session.execute(
            f"ALTER DATABASE {name(each.final)} CHARACTER SET {each.charset}"
            f" COLLATE {each.collation}"
        )
        _point_sequences(session, each.final, plan)
        code.drop(session, each.final)
    for statement in book.readying():
        session.execute(statement)
    return code.make(session, book.codes(), lambda database: database)


def _drop_staged(session: Session, attempt: Attempt) -> None:
    """Also what attempts left that were taken for dead and went on staging for a while."""
    drop_user(session, attempt)
    for each in databases(session, naming.stages_prefix(attempt.op)):
        if each != naming.book(attempt) and naming.is_older_stage(each, attempt):
            drop_database(session, each)


def _point_sequences(session: Session, database: str, plan: Sequence[Placement]) -> None:
    """Columns that take their default from a sequence still name it where it was staged."""
    columns = session.rows(
        "SELECT table_name, column_name, column_default FROM information_schema.columns"
        " WHERE table_schema = %s AND column_default LIKE %s",
        [database, f"%{naming.STAGE}%"],
    )
    for table, column, default in columns:
        text = str(default)
        for placed in plan:
            text = text.replace(f"{name(placed.staged)}.", f"{name(placed.final)}.")
        session.execute(
            f"ALTER TABLE {name(database)}.{name(table)}"
            f" ALTER COLUMN {name(column)} SET DEFAULT ({text})"
        )


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
    if databases(session, naming.stage_prefix(attempt)):
        raise RestoreDiffers("what was staged is no longer whole")
    found = inventory(address)
    there = {(table.database, table.name) for table in found.tables}
    wanted = {(t.database or address.database, t.name) for t in dump.inventory.tables}
    if dump.imported and wanted - there:
        raise RestoreDiffers("nothing is staged, and what was to be restored is not there")
    for database, kinds in dump.inventory.objects.items():
        if not dump.imported and dict(found.objects.get(database, {})) != dict(kinds):
            raise RestoreDiffers(f"nothing is staged, and {database} is not what was restored")


def discard(address: Address, attempt: Attempt) -> str:
    """Before the data moved: takes everything away again. After it: finishes what can be."""
    try:
        with translated(), connect(address) as session:
            return _discard(session, attempt)
    except Failure as error:
        raise type(error)(
            f"the state of the target is not known, and databases named holdfast_* may remain: "
            f"{error.message}",
            **error.facts,
        ) from error


def _discard(session: Session, attempt: Attempt) -> str:
    become_only(session, attempt)
    book = Book(session, attempt)
    if book.exists() and book.moved():
        refused = _settle(session, book)
        for each in databases(session, naming.old_prefix(attempt.op)):
            drop_database(session, each)
        clear(session, attempt)
        missing = "".join(f"; missing: {each.sentence()}" for each in refused)
        return f"the restored data is in place; the old data is gone{missing}"
    if book.exists() and book.ready():
        _put_back(session, book)
    staged = clear(session, attempt)
    for each in databases(session, naming.old_prefix(attempt.op)):
        drop_database(session, each)
    return "the target is as it was" + ("; what was staged is removed" if staged else "")


def _put_back(session: Session, book: Book) -> None:
    """Databases that were made, and views and triggers taken off, before the data was to move."""
    for each in book.fresh():
        if not facts.tables(session, each):  # somebody else may have found a use for it
            drop_database(session, each)
    previous = book.codes("previous")
    for each in book.plan():
        there = set(code.present(session, each.final))
        lost = [p for p in previous if p.database == each.final and (p.kind, p.name) not in there]
        refused = code.make(session, lost, lambda database: database)
        if refused:
            listed = "; ".join(problem.sentence() for problem in refused)
            raise RestoreDiffers(f"what was taken off could not be put back: {listed}")
