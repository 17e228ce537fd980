"""Heartbeats: each worker counts its own, and no judgement rests on when they came."""

import pytest
from sqlalchemy import select, update

from holdfast.catalog.database.session import Catalog, database_now
from holdfast.catalog.schema import Worker
from holdfast.catalog.work import workers

YEARS = 10 * 365 * 86_400_000


def beat(catalog: Catalog, *names: str) -> None:
    with catalog.write() as session:
        for worker in names:
            workers.beat(session, worker, "node")


def beats(catalog: Catalog) -> dict[str, int]:
    with catalog.read() as session:
        return workers.beats(session)


def test_who_beats_counts(catalog: Catalog) -> None:
    beat(catalog, "one", "two")
    before = beats(catalog)
    beat(catalog, "one")
    after = beats(catalog)
    assert after["one"] > before["one"]
    assert after["two"] == before["two"]


def test_who_beats_meanwhile_is_not_buried(catalog: Catalog) -> None:
    beat(catalog, "silent", "late")
    judged = beats(catalog)
    beat(catalog, "late")
    with catalog.write() as session:
        workers.bury(session, judged)
    assert beats(catalog).keys() == {"late"}
    beat(catalog, "silent")
    assert beats(catalog).keys() == {"late", "silent"}


def test_who_leaves_is_gone_at_once(catalog: Catalog) -> None:
    with catalog.write() as session:
        for worker, node in (("a", "here"), ("b", "here"), ("c", "there")):
            workers.join(session, worker, node)
        workers.leave(session, "a")
    assert beats(catalog).keys() == {"b", "c"}
    with catalog.write() as session:
        workers.leave_node(session, "here")
    assert beats(catalog).keys() == {"c"}


@pytest.mark.parametrize("skew", [-YEARS, -3_600_000, 3_600_000, YEARS])
def test_of_machines_in_control_the_one_that_beats_is_found(catalog: Catalog, skew: int) -> None:
    """Whatever the clock said when the other one beat last."""
    with catalog.write() as session:
        workers.join(session, "dead", "gone", ["shop/orders"])
        session.execute(update(Worker).values(seen=Worker.seen + skew))
        workers.join(session, "alive", "here", ["shop/orders"])
    with catalog.read() as session:
        assert workers.node_in_control(session, "shop/orders") == "here"


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
