"""Recurring upkeep: of many processes, the one that advances `due` does it.

A chore that is taken is due again after a lease, so another process takes it up if the first one
dies. A clock that was ahead may leave `due` further away than any period: that counts as due.
"""

from sqlalchemy import CursorResult, Update, and_, or_, select, update
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Chore

LEASE_MS = 3_600_000
NEVER = 253_402_214_400_000
"""The last day of the year 9999, which no wrong clock reports."""
AUDIT = "audit "


def audit_of(destination_pk: int | None) -> str:
    """The name of a destination's store check; None is the platform store."""
    return f"{AUDIT}{'platform' if destination_pk is None else destination_pk}"


def destination_of(name: str) -> int | None:
    """The destination of a store check, from the chore's name."""
    suffix = name.removeprefix(AUDIT)
    return None if suffix == "platform" else int(suffix)


def snapshot_check_of(repository: int) -> str:
    """The name of the thorough check of a repository's snapshots."""
    return f"custody {repository}"


def reading_of(repository: int) -> str:
    """The name of reading all packs of a repository, which is done on request only."""
    return f"reading {repository}"


def get(session: ReadSession, name: str) -> Chore | None:
    return session.get(Chore, name)


def named(session: ReadSession, beginning: str) -> list[Chore]:
    rows = select(Chore).where(Chore.name.startswith(beginning, autoescape=True))
    return list(session.scalars(rows.order_by(Chore.name)))


def ask(session: WriteSession, name: str, now: int) -> None:
    """Makes the chore due now."""
    if not _moved(session, update(Chore).where(Chore.name == name).values(due=now)):
        _add(session, name, now)


def is_due(session: ReadSession, name: str, now: int, every_ms: int) -> bool:
    """Whether it is due; takes no lock, so `take` decides which process does it."""
    chore = get(session, name)
    if chore is None:
        return every_ms > 0
    return chore.due <= now or now + max(every_ms, LEASE_MS) < chore.due < NEVER


def take(session: WriteSession, name: str, now: int, every_ms: int) -> bool:
    """Takes the chore if it is due. `every_ms` 0: it is due on request only."""
    if every_ms and session.get(Chore, name) is None:
        _add(session, name, now)
    late = and_(Chore.due > now + max(every_ms, LEASE_MS), Chore.due < NEVER)
    mine = update(Chore).where(Chore.name == name, or_(Chore.due <= now, late))
    return _moved(session, mine.values(due=now + LEASE_MS))


def end(session: WriteSession, name: str, next_due: int, now: int, problem: str | None) -> None:
    """Ends the chore, with its problem if it failed. `next_due` `NEVER`: only on request. A request
    made meanwhile stays."""
    session.execute(
        update(Chore)
        .where(Chore.name == name)
        .values(ended=now, problem=problem)
        .execution_options(synchronize_session=False)
    )
    later = update(Chore).where(Chore.name == name, Chore.due > now)
    session.execute(later.values(due=next_due).execution_options(synchronize_session=False))


def _add(session: WriteSession, name: str, due: int) -> None:
    try:
        with session.begin_nested():
            session.add(Chore(name=name, due=due))
    except IntegrityError:
        return  # another process was faster; its row is as good


def _moved(session: WriteSession, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
