"""The laws of operations, on SQLite and on PostgreSQL: one slot, one fence, one ending."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from fakes.queues import ListQueue
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Operation
from holdfast.catalog.work import leftovers, operations
from holdfast.catalog.work.operations import Ending, Order
from holdfast.contracts.queue import Dispatch
from holdfast.domain.operation import ANY_LANE, OVER, Kind, Status

DONE = Ending(Status.COMPLETED)


class Desk:
    """Operations of one catalogue, each call in a transaction of its own."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.queue = ListQueue()

    def create(self, addon: int, kind: Kind = Kind.BACKUP) -> str:
        with self.catalog.write() as session:
            order = Order(addon, kind, ANY_LANE, {})
            return operations.create(session, self.queue, order, 1).id

    def begin(self, what: Dispatch, worker: str = "w") -> bool:
        with self.catalog.write() as session:
            return operations.begin(session, what, worker, 2) is not None

    def finish(self, what: Dispatch, ending: Ending = DONE) -> Status | None:
        with self.catalog.write() as session:
            ended = operations.finish(session, self.queue, what, ending, 3)
            return Status(ended.status) if ended else None

    def abort(self, op: str) -> Status | None:
        with self.catalog.write() as session:
            return operations.abort(session, self.queue, op, "asked", 4)

    def take_over(self, what: Dispatch) -> bool:
        with self.catalog.write() as session:
            return operations.take_over(session, self.queue, what)

    def hand_over(self, what: Dispatch) -> bool:
        with self.catalog.write() as session:
            return operations.hand_over(session, self.queue, what)

    def look(self, op: str) -> Operation:
        with self.catalog.read() as session:
            found = operations.get(session, op)
            assert found is not None
            session.expunge(found)
            return found


@pytest.fixture
def desk(catalog: Catalog) -> Desk:
    return Desk(catalog)


@pytest.fixture
def addon(new_addon: Callable[[], int]) -> int:
    return new_addon()


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Starts all calls together and returns what they returned, in their order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(30) for future in [pool.submit(run, call) for call in calls]]


def test_one_operation_at_a_time_per_addon(desk: Desk, addon: int) -> None:
    first, second = desk.create(addon), desk.create(addon)
    assert desk.queue.dispatched == [Dispatch(first, 1)]
    assert desk.begin(Dispatch(first, 1))
    assert desk.finish(Dispatch(first, 1)) is Status.COMPLETED
    assert desk.queue.dispatched == [Dispatch(first, 1), Dispatch(second, 1)]


def test_the_database_itself_keeps_a_second_slot_out(desk: Desk, addon: int) -> None:
    desk.create(addon)
    second = desk.create(addon)
    with pytest.raises(IntegrityError), desk.catalog.write() as session:
        session.execute(update(Operation).where(Operation.id == second).values(slot=1))


def test_addons_do_not_wait_for_each_other(desk: Desk, new_addon: Callable[[], int]) -> None:
    ops = [desk.create(new_addon()) for _ in range(3)]
    assert desk.queue.dispatched == [Dispatch(op, 1) for op in ops]


def test_the_most_urgent_goes_next_then_the_oldest(desk: Desk, addon: int) -> None:
    running = desk.create(addon)
    backups = [desk.create(addon) for _ in range(2)]
    pause, restore = desk.create(addon, Kind.PAUSE), desk.create(addon, Kind.RESTORE)
    wanted = [running, restore, pause, *backups]
    for op in wanted:
        assert desk.queue.dispatched[-1].op == op
        assert desk.begin(Dispatch(op, 1))
        assert desk.finish(Dispatch(op, 1)) is Status.COMPLETED
    assert [what.op for what in desk.queue.dispatched] == wanted


def test_two_creations_at_once_dispatch_one(desk: Desk, addon: int) -> None:
    ops = at_once(*[lambda: desk.create(addon) for _ in range(6)])
    assert len(desk.queue.dispatched) == 1
    assert desk.queue.dispatched[0].op in ops


def test_who_holds_an_old_fence_changes_nothing(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    old, new = Dispatch(op, 1), Dispatch(op, 2)
    assert desk.begin(old, "frozen")
    assert desk.take_over(old)
    assert desk.begin(new, "heir")
    before = desk.look(op)
    with desk.catalog.write() as session:
        assert not operations.save(session, old, "copy", {"a": 1})
        assert not operations.report(session, old, {"bytes": 1})
        assert not operations.holds(session, old)
        assert operations.holds(session, new)
    assert not desk.begin(old)
    assert desk.finish(old) is None
    assert not desk.take_over(old)
    assert not desk.hand_over(old)
    after = desk.look(op)
    assert (after.worker, after.fence, after.attempt) == ("heir", 2, 2)
    assert (after.step, after.record, after.status) == (before.step, {}, Status.IN_PROGRESS)


def test_the_holder_saves_and_shows(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    what = Dispatch(op, 1)
    desk.begin(what)
    with desk.catalog.write() as session:
        assert operations.save(session, what, "copy", {"prefix": "x"})
        assert operations.report(session, what, {"bytes": 7, "expected": None})
    with desk.catalog.read() as session:
        assert operations.progress_of(session, [op]) == {op: {"after": "copy", "bytes": 7}}
        assert operations.states(session, [op]) == {op: (Status.IN_PROGRESS, 1)}
    assert desk.look(op).record == {"prefix": "x"}


def test_of_two_reapers_one_takes_over(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    desk.begin(Dispatch(op, 1))
    won = at_once(*[lambda: desk.take_over(Dispatch(op, 1)) for _ in range(4)])
    assert sorted(map(bool, won)) == [False, False, False, True]
    assert desk.queue.dispatched == [Dispatch(op, 1), Dispatch(op, 2)]


def test_what_was_handed_over_is_no_attempt(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    for fence in (1, 2, 3, 4, 5):
        assert desk.begin(Dispatch(op, fence))
        assert desk.look(op).attempt == 1
        assert desk.hand_over(Dispatch(op, fence))
    assert desk.queue.dispatched[-1] == Dispatch(op, 6)


def test_each_start_is_an_attempt(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    for fence in (1, 2, 3):
        assert desk.begin(Dispatch(op, fence))
        assert desk.look(op).attempt == fence
        assert desk.take_over(Dispatch(op, fence))


def test_a_waiting_operation_is_aborted_at_once(desk: Desk, addon: int) -> None:
    desk.create(addon)
    second = desk.create(addon)
    assert desk.abort(second) is Status.ABORTED
    assert desk.abort(second) is None
    found = desk.look(second)
    assert (found.status, found.reason, found.ended) == (Status.ABORTED, "asked", 4)


def test_a_dispatched_one_that_nobody_began_makes_room(desk: Desk, addon: int) -> None:
    first, second = desk.create(addon), desk.create(addon)
    assert desk.abort(first) is Status.ABORTED
    assert desk.queue.dispatched == [Dispatch(first, 1), Dispatch(second, 1)]
    assert not desk.begin(Dispatch(first, 1)), "the queue's late start finds nothing to do"


def test_a_running_one_aborts_in_two_steps(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    what = Dispatch(op, 1)
    desk.begin(what)
    assert desk.abort(op) is Status.ABORTING
    assert desk.abort(op) is Status.ABORTING, "asking again changes nothing"
    assert desk.look(op).slot == 1, "the addon is free only when the child is dead"
    assert desk.finish(what, Ending(Status.FAILED, "x", "y")) is Status.ABORTED
    assert desk.look(op).slot is None


def test_completion_wins_over_a_late_abort(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    desk.begin(Dispatch(op, 1))
    desk.abort(op)
    assert desk.finish(Dispatch(op, 1)) is Status.COMPLETED


def test_an_aborting_one_whose_worker_died_is_still_aborting(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    desk.begin(Dispatch(op, 1))
    desk.abort(op)
    assert desk.take_over(Dispatch(op, 1))
    assert desk.begin(Dispatch(op, 2))
    assert desk.look(op).status == Status.ABORTING
    assert desk.finish(Dispatch(op, 2), Ending(Status.ABORTED)) is Status.ABORTED


@pytest.mark.parametrize("status", sorted(OVER))
def test_what_is_over_stays_so(desk: Desk, addon: int, status: Status) -> None:
    op = desk.create(addon)
    what = Dispatch(op, 1)
    desk.begin(what)
    if status is Status.ABORTED:
        desk.abort(op)
    assert desk.finish(what, Ending(status, "code", "because")) is status
    assert desk.abort(op) is None
    assert desk.finish(what) is None
    assert not desk.begin(what)
    assert not desk.take_over(what)
    found = desk.look(op)
    assert (found.status, found.reason, found.slot) == (status, "because", None)


def test_a_move_the_table_does_not_know_is_refused(desk: Desk, addon: int) -> None:
    op = desk.create(addon)
    desk.begin(Dispatch(op, 1))
    with pytest.raises(ValueError, match="may not become scheduled"):
        desk.finish(Dispatch(op, 1), Ending(Status.SCHEDULED))
    assert desk.look(op).status == Status.IN_PROGRESS


def test_finish_and_abort_at_once_end_in_one_of_two_ways(
    desk: Desk, new_addon: Callable[[], int]
) -> None:
    for _ in range(8):
        op = desk.create(new_addon())
        what = Dispatch(op, 1)
        desk.begin(what)
        ended, aborted = at_once(lambda: desk.finish(what), lambda: desk.abort(op))  # noqa: B023
        assert ended is Status.COMPLETED
        assert aborted in (None, Status.ABORTING)
        assert desk.look(op).status == Status.COMPLETED


def test_begin_and_abort_at_once_agree(desk: Desk, new_addon: Callable[[], int]) -> None:
    for _ in range(8):
        op = desk.create(new_addon())
        what = Dispatch(op, 1)
        began, aborted = at_once(lambda: desk.begin(what), lambda: desk.abort(op))  # noqa: B023
        wanted = Status.ABORTING if began else Status.ABORTED
        assert (aborted, desk.look(op).status) == (wanted, wanted)


def test_finish_and_create_at_once_strand_nobody(desk: Desk, new_addon: Callable[[], int]) -> None:
    for _ in range(8):
        addon = new_addon()
        first = desk.create(addon)
        desk.begin(Dispatch(first, 1))
        _, second = at_once(
            lambda: desk.finish(Dispatch(first, 1)),  # noqa: B023
            lambda: desk.create(addon),  # noqa: B023
        )
        assert Dispatch(str(second), 1) in desk.queue.dispatched
        with desk.catalog.read() as session:
            assert operations.waiting_addons(session) == []


def test_two_finishes_at_once_are_one(desk: Desk, addon: int) -> None:
    first, second = desk.create(addon), desk.create(addon)
    desk.begin(Dispatch(first, 1))
    ended = at_once(*[lambda: desk.finish(Dispatch(first, 1)) for _ in range(4)])
    assert sorted(map(str, ended)) == ["None", "None", "None", "completed"]
    assert desk.queue.dispatched == [Dispatch(first, 1), Dispatch(second, 1)]


def test_what_waits_without_cause_is_found(desk: Desk, addon: int) -> None:
    """As when the queue was swapped and somebody cleared the slots by hand."""
    op = desk.create(addon)
    with desk.catalog.write() as session:
        session.execute(update(Operation).where(Operation.id == op).values(slot=None))
    with desk.catalog.read() as session:
        assert operations.waiting_addons(session) == [addon]
    with desk.catalog.write() as session:
        operations.promote(session, desk.queue, addon)
    assert desk.queue.dispatched[-1] == Dispatch(op, 2)


def test_the_latest_failure_says_why(desk: Desk, addon: int) -> None:
    for reason in ("too early", "too late"):
        desk.create(addon)
        what = desk.queue.dispatched[-1]
        assert desk.begin(what)
        desk.finish(what, Ending(Status.FAILED, "x", reason))
    with desk.catalog.read() as session:
        assert operations.last_failure(session, addon) == "too late"


def test_litter_is_listed_in_turns(desk: Desk, new_addon: Callable[[], int]) -> None:
    made = [desk.create(new_addon()) for _ in range(3)]
    for what in list(desk.queue.dispatched):
        assert desk.begin(what)
        desk.finish(what, Ending(Status.FAILED, "x", "y", litter=True))
    with desk.catalog.read() as session:
        first = leftovers.littered(session, 0, 2)
        rest = leftovers.littered(session, first[-1].pk, 2)
    assert [operation.id for operation in first + rest] == made
