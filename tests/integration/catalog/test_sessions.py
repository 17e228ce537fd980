"""Sessions: one transaction each, and the type says who may write."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from holdfast.catalog.database.page import Page, take
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Line, Replay, Role
from holdfast.catalog.work import replays
from holdfast.catalog.work.replays import WINDOW_MS
from holdfast.domain.errors import Invalid
from integration.catalog.test_operations import at_once


def role(name: str) -> Role:
    return Role(id=name, name=name, permissions=[], created=1)


def test_a_read_session_refuses_to_write(catalog: Catalog) -> None:
    with catalog.read() as session:
        session.add(role("x"))
        with pytest.raises(TypeError, match="asked to write"):
            session.flush()


def test_a_read_connection_of_sqlite_cannot_write(catalog: Catalog) -> None:
    if not catalog.is_sqlite:
        return
    with pytest.raises(DBAPIError, match="readonly"), catalog.read() as session:
        session.connection().exec_driver_sql("INSERT INTO chores VALUES ('a', 1, NULL, NULL)")


def test_a_failed_block_leaves_nothing(catalog: Catalog) -> None:
    def work() -> None:
        with catalog.write() as session:
            session.add(role("x"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with catalog.read() as session:
        assert session.scalar(select(func.count()).select_from(Role)) == 0


def test_writers_queue_instead_of_failing(catalog: Catalog) -> None:
    def write(name: str) -> Callable[[], None]:
        def work() -> None:
            with catalog.write() as session:
                session.scalar(select(func.count()).select_from(Role))  # reads before it writes
                session.add(role(name))

        return work

    at_once(*[write(f"r{n}") for n in range(12)])
    with catalog.read() as session:
        assert session.scalar(select(func.count()).select_from(Role)) == 12


def test_of_identical_requests_at_once_one_answers(catalog: Catalog) -> None:
    made: list[int] = []

    def request() -> object:
        with catalog.write() as session:
            known = replays.claim(session, "d" * 64)
            if known is not None:
                return known
            made.append(1)
            answer = {"id": len(made)}
            replays.keep(session, "d" * 64, answer)
            return answer

    answers = at_once(*[request for _ in range(6)])
    assert answers == [{"id": 1}] * 6
    assert made == [1]


def test_a_request_that_failed_leaves_the_claim_free(catalog: Catalog) -> None:
    def work() -> None:
        with catalog.write() as session:
            assert replays.claim(session, "d" * 64) is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with catalog.write() as session:
        assert replays.claim(session, "d" * 64) is None


@pytest.mark.parametrize(
    ("age", "repeated"),
    [(0, True), (WINDOW_MS - 5_000, True), (WINDOW_MS, False), (-60_000, False)],
)
def test_only_the_last_moments_count_and_never_the_future(
    catalog: Catalog, age: int, repeated: bool
) -> None:
    """A clock that was ahead and went back leaves answers of the future: they are none."""
    with catalog.write() as session:
        assert replays.claim(session, "d" * 64) is None
        replays.keep(session, "d" * 64, {"first": True})
    with catalog.write() as session:
        session.execute(update(Replay).values(at=Replay.at - age))
    with catalog.write() as session:
        found = replays.claim(session, "d" * 64)
        assert found == ({"first": True} if repeated else None)


@pytest.mark.parametrize(("age", "kept"), [(0, 1), (7 * WINDOW_MS, 0), (-60_000, 0)])
def test_what_answers_nobody_is_forgotten(catalog: Catalog, age: int, kept: int) -> None:
    with catalog.write() as session:
        replays.claim(session, "d" * 64)
        session.execute(update(Replay).values(at=Replay.at - age))
    with catalog.write() as session:
        replays.forget_old(session)
        assert session.scalar(select(func.count()).select_from(Replay)) == kept


def lines(catalog: Catalog, count: int) -> None:
    with catalog.write() as session:
        session.add_all([Line(operation="o", at=n, text=str(n)) for n in range(count)])


def pages(catalog: Catalog, size: int, between: Callable[[], None]) -> list[int]:
    """All keys, page by page; `between` happens before each next page."""
    found: list[int] = []
    cursor = None
    while True:
        with catalog.read() as session:
            got = take(session, select(Line), Line.pk, Page(size, 1, cursor), "lines")
            found += [line.pk for line in got.items]
        cursor = got.cursor
        if cursor is None:
            return found
        between()


@pytest.mark.parametrize("size", [1, 3, 7, 10, 11])
def test_pages_hold_every_row_once_newest_first(catalog: Catalog, size: int) -> None:
    lines(catalog, 10)
    assert pages(catalog, size, lambda: None) == list(range(10, 0, -1))


def test_rows_that_arrive_shift_no_page(catalog: Catalog) -> None:
    lines(catalog, 10)
    assert pages(catalog, 3, lambda: lines(catalog, 2)) == list(range(10, 0, -1))


def test_an_empty_list_is_one_empty_page(catalog: Catalog) -> None:
    assert pages(catalog, 3, lambda: None) == []


def test_a_cursor_of_another_list_is_refused(catalog: Catalog) -> None:
    lines(catalog, 3)
    with catalog.read() as session:
        got = take(session, select(Line), Line.pk, Page(1), "lines of a")
        with pytest.raises(Invalid):
            take(session, select(Line), Line.pk, Page(1, 1, got.cursor), "lines of b")


def test_connections_that_died_at_rest_are_replaced(catalog: Catalog) -> None:
    """A server that was away and is back: nobody is told of connections that ended with it."""
    if catalog.is_sqlite:
        return

    def count() -> int | None:
        with catalog.read() as session:
            return session.scalar(select(func.count()).select_from(Role))

    def end_all() -> None:
        with catalog.write() as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )

    for _ in range(5):
        at_once(*[count for _ in range(4)])
        end_all()
        assert at_once(*[count for _ in range(4)]) == [0, 0, 0, 0]
