"""Upkeep that is due now and then: of many processes, the one that moves `due` on does it.

While it is done it is due again after a lease: if its process dies, another takes it up then. A
clock that was ahead and came back leaves `due` further away than any period: that is due, too.
"""

from sqlalchemy import CursorResult, Update, and_, or_, select, update
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Chore

LEASE_MS = 3_600_000
NEVER = 253_402_214_400_000
"""The last day of the year 9999: no clock that is merely wrong says so."""
AUDIT = "audit "


def audit_of(place: int | None) -> str:
    """The chore's name; None is the platform store."""
    return f"{AUDIT}{'platform' if place is None else place}"


def audited(name: str) -> int | None:
    """The place, from the chore's name."""
    place = name.removeprefix(AUDIT)
    return None if place == "platform" else int(place)


def custody_of(repository: int) -> str:
    """The name of the thorough look at a repository."""
    return f"custody {repository}"


def reading_of(repository: int) -> str:
    """The name of reading all its packs, which is done only when asked for."""
    return f"reading {repository}"


def get(session: ReadSession, name: str) -> Chore | None:
    return session.get(Chore, name)


def named(session: ReadSession, beginning: str) -> list[Chore]:
    rows = select(Chore).where(Chore.name.startswith(beginning, autoescape=True))
    return list(session.scalars(rows.order_by(Chore.name)))


def ask(session: WriteSession, name: str, now: int) -> None:
    """It is done as soon as somebody can."""
    if not _moved(session, update(Chore).where(Chore.name == name).values(due=now)):
        _add(session, name, now)


def is_due(session: ReadSession, name: str, now: int, every_ms: int) -> bool:
    """A look that takes no lock; whoever `take`s it afterwards does it."""
    chore = get(session, name)
    if chore is None:
        return every_ms > 0
    return chore.due <= now or now + max(every_ms, LEASE_MS) < chore.due < NEVER


def take(session: WriteSession, name: str, now: int, every_ms: int) -> bool:
    """Is it due, and ours to do? `every_ms` 0: only when asked."""
    if every_ms and session.get(Chore, name) is None:
        _add(session, name, now)
    late = and_(Chore.due > now + max(every_ms, LEASE_MS), Chore.due < NEVER)
    mine = update(Chore).where(Chore.name == name, or_(Chore.due <= now, late))
    return _moved(session, mine.values(due=now + LEASE_MS))


def end(session: WriteSession, name: str, next_due: int, now: int, problem: str | None) -> None:
    """Done, or tried in vain. `NEVER`: not again until it is asked for. Who asked meanwhile is not
    forgotten."""
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
        return  # somebody else was faster; theirs is as good


def _moved(session: WriteSession, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
