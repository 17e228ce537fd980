"""Heartbeats are written and judged by the database's clock."""

from sqlalchemy import select, update

from holdfast.catalog import workers
from holdfast.catalog.schema import Worker
from holdfast.catalog.session import Catalog, database_now

DEAD = 5_000


def age(catalog: Catalog, worker: str, milliseconds: int) -> None:
    with catalog.write() as session:
        older = Worker.seen - milliseconds
        session.execute(update(Worker).where(Worker.id == worker).values(seen=older))


def test_who_beats_lives_and_who_is_silent_dies(catalog: Catalog) -> None:
    for worker in ("one", "two"):
        with catalog.write() as session:
            workers.beat(session, worker, "node")
    age(catalog, "two", DEAD + 1_000)
    with catalog.read() as session:
        assert workers.living(session, DEAD) == {"one"}
        assert workers.registered(session) == {"one", "two"}
    with catalog.write() as session:
        workers.beat(session, "two", "node")
    with catalog.read() as session:
        assert workers.living(session, DEAD) == {"one", "two"}


def test_the_long_dead_are_buried_and_may_come_back(catalog: Catalog) -> None:
    with catalog.write() as session:
        workers.beat(session, "old", "node")
        workers.beat(session, "late", "node")
    age(catalog, "old", 11 * DEAD)
    age(catalog, "late", 2 * DEAD)
    with catalog.write() as session:
        workers.bury(session, DEAD)
    with catalog.read() as session:
        assert workers.registered(session) == {"late"}
    with catalog.write() as session:
        workers.beat(session, "old", "node")
    with catalog.read() as session:
        assert workers.living(session, DEAD) == {"old"}


def test_who_leaves_is_gone_at_once(catalog: Catalog) -> None:
    with catalog.write() as session:
        for worker, node in (("a", "here"), ("b", "here"), ("c", "there")):
            workers.join(session, worker, node)
        workers.leave(session, "a")
    with catalog.read() as session:
        assert workers.living(session, DEAD) == {"b", "c"}
    with catalog.write() as session:
        workers.leave_node(session, "here")
    with catalog.read() as session:
        assert workers.living(session, DEAD) == {"c"}


def test_the_clock_of_the_database_runs_within_a_transaction(catalog: Catalog) -> None:
    """Not the time its transaction began: a beat that waited for a lock is as late as it is."""
    with catalog.write() as session:
        first = session.scalar(select(database_now()))
        assert first is not None
        while session.scalar(select(database_now())) == first:
            pass
        later = session.scalar(select(database_now()))
        assert later is not None
        assert first < later < first + 60_000
