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
from holdfast.catalog.work import leftovers, operation_queries, operations
from holdfast.catalog.work.operations import Ending, Order
from holdfast.contracts.queue import Dispatch
from holdfast.domain.operation import ANY_LANE, OVER, Kind, Status

DONE = Ending(Status.COMPLETED)


class OperationTable:
    """Operations of one catalogue, each call in a transaction of its own."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.queue = ListQueue()

    def create(self, addon: int, kind: Kind = Kind.BACKUP) -> str:
        with self.catalog.write() as session:
            order = Order(addon, kind, ANY_LANE, {})
            return operations.create(session, self.queue, order, 1).id

    def begin(self, dispatch: Dispatch, worker: str = "w") -> bool:
        with self.catalog.write() as session:
            return operations.begin(session, dispatch, worker, 2) is not None

    def finish(self, dispatch: Dispatch, ending: Ending = DONE) -> Status | None:
        with self.catalog.write() as session:
            ended = operations.finish(session, self.queue, dispatch, ending, 3)
            return Status(ended.status) if ended else None

    def abort(self, op: str) -> Status | None:
        with self.catalog.write() as session:
            return operations.abort(session, self.queue, op, "asked", 4)

    def take_over(self, dispatch: Dispatch) -> bool:
        with self.catalog.write() as session:
            return operations.take_over(session, self.queue, dispatch)

    def hand_over(self, dispatch: Dispatch) -> bool:
        with self.catalog.write() as session:
            return operations.hand_over(session, self.queue, dispatch)

    def look(self, op: str) -> Operation:
        with self.catalog.read() as session:
            operation = operations.get(session, op)
            assert operation is not None
            session.expunge(operation)
            return operation


@pytest.fixture
def table(catalog: Catalog) -> OperationTable:
    return OperationTable(catalog)


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


def test_one_operation_at_a_time_per_addon(table: OperationTable, addon: int) -> None:
    first, second = table.create(addon), table.create(addon)
    assert table.queue.dispatched == [Dispatch(first, 1)]
    assert table.begin(Dispatch(first, 1))
    assert table.finish(Dispatch(first, 1)) is Status.COMPLETED
    assert table.queue.dispatched == [Dispatch(first, 1), Dispatch(second, 1)]


def test_drills_and_copies_go_on_beside(table: OperationTable, addon: int) -> None:
    """One of each kind; the next backup waits for neither."""
    copies = [table.create(addon, Kind.REPLICATE) for _ in range(2)]
    drill, backup = table.create(addon, Kind.DRILL), table.create(addon)
    assert table.queue.dispatched == [Dispatch(op, 1) for op in (copies[0], drill, backup)]
    for op in (copies[0], drill, backup):
        assert table.begin(Dispatch(op, 1))
    assert table.finish(Dispatch(copies[0], 1)) is Status.COMPLETED
    assert table.queue.dispatched[-1] == Dispatch(copies[1], 1)
    with table.catalog.read() as session:
        assert operations.waiting_addons(session) == []
        assert set(operations.dispatched(session)) == {
            Dispatch(op, 1) for op in (copies[1], drill, backup)
        }


def test_copies_and_prunes_keep_out_of_each_others_way(table: OperationTable, addon: int) -> None:
    copy, prune = table.create(addon, Kind.REPLICATE), table.create(addon, Kind.PRUNE)
    assert table.queue.dispatched == [Dispatch(copy, 1)]
    table.begin(Dispatch(copy, 1))
    table.finish(Dispatch(copy, 1))
    assert table.queue.dispatched == [Dispatch(copy, 1), Dispatch(prune, 1)]
    later = table.create(addon, Kind.REPLICATE)
    assert Dispatch(later, 1) not in table.queue.dispatched
    table.begin(Dispatch(prune, 1))
    table.finish(Dispatch(prune, 1))
    assert table.queue.dispatched[-1] == Dispatch(later, 1)


def test_the_database_keeps_a_second_of_a_kind_out(table: OperationTable, addon: int) -> None:
    table.create(addon, Kind.DRILL)
    second = table.create(addon, Kind.DRILL)
    with pytest.raises(IntegrityError), table.catalog.write() as session:
        session.execute(update(Operation).where(Operation.id == second).values(slot=2))


def test_the_database_itself_keeps_a_second_slot_out(table: OperationTable, addon: int) -> None:
    table.create(addon)
    second = table.create(addon)
    with pytest.raises(IntegrityError), table.catalog.write() as session:
        session.execute(update(Operation).where(Operation.id == second).values(slot=1))


def test_addons_do_not_wait_for_each_other(
    table: OperationTable, new_addon: Callable[[], int]
) -> None:
    ops = [table.create(new_addon()) for _ in range(3)]
    assert table.queue.dispatched == [Dispatch(op, 1) for op in ops]


def test_the_most_urgent_goes_next_then_the_oldest(table: OperationTable, addon: int) -> None:
    running = table.create(addon)
    backups = [table.create(addon) for _ in range(2)]
    pause, restore = table.create(addon, Kind.PAUSE), table.create(addon, Kind.RESTORE)
    wanted = [running, restore, pause, *backups]
    for op in wanted:
        assert table.queue.dispatched[-1].op == op
        assert table.begin(Dispatch(op, 1))
        assert table.finish(Dispatch(op, 1)) is Status.COMPLETED
    assert [what.op for what in table.queue.dispatched] == wanted


def test_two_creations_at_once_dispatch_one(table: OperationTable, addon: int) -> None:
    ops = at_once(*[lambda: table.create(addon) for _ in range(6)])
    assert len(table.queue.dispatched) == 1
    assert table.queue.dispatched[0].op in ops


def test_who_holds_an_old_fence_changes_nothing(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    old, new = Dispatch(op, 1), Dispatch(op, 2)
    assert table.begin(old, "frozen")
    assert table.take_over(old)
    assert table.begin(new, "heir")
    before = table.look(op)
    with table.catalog.write() as session:
        assert not operations.save(session, old, "copy", {"a": 1})
        assert not operations.report(session, old, {"bytes": 1})
        assert not operations.holds(session, old)
        assert operations.holds(session, new)
    assert not table.begin(old)
    assert table.finish(old) is None
    assert not table.take_over(old)
    assert not table.hand_over(old)
    after = table.look(op)
    assert (after.worker, after.fence, after.attempt) == ("heir", 2, 2)
    assert (after.step, after.record, after.status) == (before.step, {}, Status.IN_PROGRESS)


def test_the_holder_saves_and_shows(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    what = Dispatch(op, 1)
    table.begin(what)
    with table.catalog.write() as session:
        assert operations.save(session, what, "copy", {"prefix": "x"})
        assert operations.report(session, what, {"bytes": 7, "expected": None})
    with table.catalog.read() as session:
        assert operation_queries.progress_of(session, [op]) == {op: {"after": "copy", "bytes": 7}}
        assert operation_queries.states(session, [op]) == {op: (Status.IN_PROGRESS, 1)}
    assert table.look(op).record == {"prefix": "x"}


def test_of_two_reapers_one_takes_over(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    table.begin(Dispatch(op, 1))
    won = at_once(*[lambda: table.take_over(Dispatch(op, 1)) for _ in range(4)])
    assert sorted(map(bool, won)) == [False, False, False, True]
    assert table.queue.dispatched == [Dispatch(op, 1), Dispatch(op, 2)]


def test_what_was_handed_over_is_no_attempt(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    for fence in (1, 2, 3, 4, 5):
        assert table.begin(Dispatch(op, fence))
        assert table.look(op).attempt == 1
        assert table.hand_over(Dispatch(op, fence))
    assert table.queue.dispatched[-1] == Dispatch(op, 6)


def test_each_start_is_an_attempt(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    for fence in (1, 2, 3):
        assert table.begin(Dispatch(op, fence))
        assert table.look(op).attempt == fence
        assert table.take_over(Dispatch(op, fence))


def test_a_waiting_operation_is_aborted_at_once(table: OperationTable, addon: int) -> None:
    table.create(addon)
    second = table.create(addon)
    assert table.abort(second) is Status.ABORTED
    assert table.abort(second) is None
    found = table.look(second)
    assert (found.status, found.reason, found.ended) == (Status.ABORTED, "asked", 4)


def test_a_dispatched_one_that_nobody_began_makes_room(table: OperationTable, addon: int) -> None:
    first, second = table.create(addon), table.create(addon)
    assert table.abort(first) is Status.ABORTED
    assert table.queue.dispatched == [Dispatch(first, 1), Dispatch(second, 1)]
    assert not table.begin(Dispatch(first, 1)), "the queue's late start finds nothing to do"


def test_a_running_one_aborts_in_two_steps(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    what = Dispatch(op, 1)
    table.begin(what)
    assert table.abort(op) is Status.ABORTING
    assert table.abort(op) is Status.ABORTING, "asking again changes nothing"
    assert table.look(op).slot == 1, "the addon is free only when the child is dead"
    assert table.finish(what, Ending(Status.FAILED, "x", "y")) is Status.ABORTED
    assert table.look(op).slot is None


def test_completion_wins_over_a_late_abort(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    table.begin(Dispatch(op, 1))
    table.abort(op)
    assert table.finish(Dispatch(op, 1)) is Status.COMPLETED


def test_an_aborting_one_whose_worker_died_is_still_aborting(
    table: OperationTable, addon: int
) -> None:
    op = table.create(addon)
    table.begin(Dispatch(op, 1))
    table.abort(op)
    assert table.take_over(Dispatch(op, 1))
    assert table.begin(Dispatch(op, 2))
    assert table.look(op).status == Status.ABORTING
    assert table.finish(Dispatch(op, 2), Ending(Status.ABORTED)) is Status.ABORTED


@pytest.mark.parametrize("status", sorted(OVER))
def test_what_is_over_stays_so(table: OperationTable, addon: int, status: Status) -> None:
    op = table.create(addon)
    what = Dispatch(op, 1)
    table.begin(what)
    if status is Status.ABORTED:
        table.abort(op)
    assert table.finish(what, Ending(status, "code", "because")) is status
    assert table.abort(op) is None
    assert table.finish(what) is None
    assert not table.begin(what)
    assert not table.take_over(what)
    found = table.look(op)
    assert (found.status, found.reason, found.slot) == (status, "because", None)


def test_a_move_the_table_does_not_know_is_refused(table: OperationTable, addon: int) -> None:
    op = table.create(addon)
    table.begin(Dispatch(op, 1))
    with pytest.raises(ValueError, match="may not become scheduled"):
        table.finish(Dispatch(op, 1), Ending(Status.SCHEDULED))
    assert table.look(op).status == Status.IN_PROGRESS


def test_finish_and_abort_at_once_end_in_one_of_two_ways(
    table: OperationTable, new_addon: Callable[[], int]
) -> None:
    for _ in range(8):
        op = table.create(new_addon())
        what = Dispatch(op, 1)
        table.begin(what)
        ended, aborted = at_once(lambda: table.finish(what), lambda: table.abort(op))  # noqa: B023
        assert ended is Status.COMPLETED
        assert aborted in (None, Status.ABORTING)
        assert table.look(op).status == Status.COMPLETED


def test_begin_and_abort_at_once_agree(table: OperationTable, new_addon: Callable[[], int]) -> None:
    for _ in range(8):
        op = table.create(new_addon())
        what = Dispatch(op, 1)
        began, aborted = at_once(lambda: table.begin(what), lambda: table.abort(op))  # noqa: B023
        wanted = Status.ABORTING if began else Status.ABORTED
        assert (aborted, table.look(op).status) == (wanted, wanted)


def test_finish_and_create_at_once_strand_nobody(
    table: OperationTable, new_addon: Callable[[], int]
) -> None:
    for _ in range(8):
        addon = new_addon()
        first = table.create(addon)
        table.begin(Dispatch(first, 1))
        _, second = at_once(
            lambda: table.finish(Dispatch(first, 1)),  # noqa: B023
            lambda: table.create(addon),  # noqa: B023
        )
        assert Dispatch(str(second), 1) in table.queue.dispatched
        with table.catalog.read() as session:
            assert operations.waiting_addons(session) == []


def test_two_finishes_at_once_are_one(table: OperationTable, addon: int) -> None:
    first, second = table.create(addon), table.create(addon)
    table.begin(Dispatch(first, 1))
    ended = at_once(*[lambda: table.finish(Dispatch(first, 1)) for _ in range(4)])
    assert sorted(map(str, ended)) == ["None", "None", "None", "completed"]
    assert table.queue.dispatched == [Dispatch(first, 1), Dispatch(second, 1)]


def test_what_waits_without_cause_is_found(table: OperationTable, addon: int) -> None:
    """As when the queue was swapped and somebody cleared the slots by hand."""
    op = table.create(addon)
    with table.catalog.write() as session:
        session.execute(update(Operation).where(Operation.id == op).values(slot=None))
    with table.catalog.read() as session:
        assert operations.waiting_addons(session) == [addon]
    with table.catalog.write() as session:
        operations.promote(session, table.queue, addon)
    assert table.queue.dispatched[-1] == Dispatch(op, 2)


def test_the_latest_failure_says_why(table: OperationTable, addon: int) -> None:
    for reason in ("too early", "too late"):
        table.create(addon)
        what = table.queue.dispatched[-1]
        assert table.begin(what)
        table.finish(what, Ending(Status.FAILED, "x", reason))
    with table.catalog.read() as session:
        assert operation_queries.last_failure(session, addon) == "too late"


def test_litter_is_listed_in_turns(table: OperationTable, new_addon: Callable[[], int]) -> None:
    made = [table.create(new_addon()) for _ in range(3)]
    for what in list(table.queue.dispatched):
        assert table.begin(what)
        table.finish(what, Ending(Status.FAILED, "x", "y", litter=True))
    with table.catalog.read() as session:
        first = leftovers.littered(session, 0, 2)
        rest = leftovers.littered(session, first[-1].pk, 2)
    assert [operation.id for operation in first + rest] == made
