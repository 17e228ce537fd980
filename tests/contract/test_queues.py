"""The law of queues, on both adapters and both databases. Workers are real processes."""

import time
from collections.abc import Callable

from fixtures.holdfast import await_that
from fixtures.queues import QueueCase
from holdfast.contracts.queue import Dispatch

Named = Callable[[str], str]


def test_a_dispatch_commits_or_vanishes_with_its_transaction(
    queue_case: QueueCase, named: Named
) -> None:
    lane = named("lane")
    (gone,) = queue_case.dispatch(named("gone"), lane=lane, priority=1, commit=False)
    (kept,) = queue_case.dispatch(named("kept"), lane=lane)
    assert queue_case.queue.lost([gone, kept]) == [gone]
    worker = queue_case.worker(lane, concurrency=1)
    worker.await_said("end", kept.op)
    assert worker.said("start") == [kept.op]


def test_every_dispatch_is_started_once_by_living_workers(
    queue_case: QueueCase, named: Named
) -> None:
    lane = named("lane")
    ops = {named(f"op{number}") for number in range(12)}
    workers = [queue_case.worker(lane), queue_case.worker(lane)]
    queue_case.dispatch(*ops, lane=lane)
    await_that(lambda: {op for w in workers for op in w.said("end")} == ops, 20)
    assert sum(len(worker.said("start")) for worker in workers) == len(ops)


def test_the_smallest_priority_goes_first(queue_case: QueueCase, named: Named) -> None:
    lane = named("lane")
    hold = named("hold")
    worker = queue_case.worker(lane, concurrency=1)
    queue_case.dispatch(hold, lane=lane)
    worker.await_said("start", hold)
    for priority in (5, 2, 9, 1):
        queue_case.dispatch(named(f"p{priority}"), lane=lane, priority=priority)
    worker.release()
    wanted = [named(f"p{priority}") for priority in (1, 2, 5, 9)]
    worker.await_said("end", *wanted)
    assert worker.said("start") == [hold, *wanted]


def test_lanes_are_kept_apart(queue_case: QueueCase, named: Named) -> None:
    """A worker leaves other lanes alone, and a full lane holds up no other one."""
    mine, yours, other = named("mine"), named("yours"), named("other")
    worker = queue_case.worker(mine, yours, concurrency=1)
    queue_case.dispatch(named("strange"), lane=other, priority=1)
    queue_case.dispatch(named("hold-1"), named("hold-2"), lane=mine)
    await_that(lambda: len(worker.said("start")) == 1, 20)
    queue_case.dispatch(named("free"), lane=yours)
    worker.await_said("end", named("free"))
    assert len(worker.said("start")) == 2, "more than its concurrency in one lane"
    worker.release()
    worker.await_said("end", named("hold-1"), named("hold-2"))
    assert named("strange") not in worker.said("start")
    assert queue_case.queue.lost([Dispatch(named("strange"), 1)]) == []


def test_what_a_dead_worker_held_is_orphaned_until_it_is_forgotten(
    queue_case: QueueCase, named: Named
) -> None:
    lane = named("lane")
    (held,) = queue_case.dispatch(named("hold"), lane=lane)
    dead = queue_case.worker(lane)
    dead.await_said("start", held.op)
    assert held not in queue_case.queue.orphans([dead.name])
    assert queue_case.queue.lost([held]) == []
    dead.kill()
    assert held in queue_case.queue.orphans(["somebody-else"])
    queue_case.dispatch(held.op, lane=lane, fence=2)
    queue_case.queue.forget(held)
    heir = queue_case.worker(lane)
    heir.await_said("start", held.op)
    assert ("start", held.op, 2) in heir.lines
    assert held not in queue_case.queue.orphans([heir.name])


def test_what_is_over_or_unknown_is_lost(queue_case: QueueCase, named: Named) -> None:
    lane = named("lane")
    (done,) = queue_case.dispatch(named("done"), lane=lane)
    unknown, waiting = Dispatch(named("unknown"), 1), Dispatch(named("waiting"), 7)
    worker = queue_case.worker(lane)
    worker.await_said("end", done.op)
    queue_case.dispatch(waiting.op, lane=named("nobody"), fence=7)
    await_that(lambda: queue_case.queue.lost([done, unknown, waiting]) == [done, unknown], 20)
    assert queue_case.queue.lost([]) == []


def test_to_forget_what_is_not_there_is_no_error(queue_case: QueueCase, named: Named) -> None:
    queue_case.queue.forget(Dispatch(named("nothing"), 3))


def test_a_forgotten_dispatch_is_not_started(queue_case: QueueCase, named: Named) -> None:
    lane = named("lane")
    forgotten, kept = queue_case.dispatch(named("forgotten"), named("kept"), lane=lane)
    queue_case.queue.forget(forgotten)
    worker = queue_case.worker(lane, concurrency=1)
    worker.await_said("end", kept.op)
    assert worker.said("start") == [kept.op]


def test_a_drain_lets_what_runs_end_and_claims_nothing_more(
    queue_case: QueueCase, named: Named
) -> None:
    lane = named("lane")
    running, waiting = named("hold"), named("waits")
    worker = queue_case.worker(lane, concurrency=1)
    queue_case.dispatch(running, lane=lane)
    worker.await_said("start", running)
    queue_case.dispatch(waiting, lane=lane)
    worker.release()
    worker.drain()
    assert worker.child.returncode == 0
    heir = queue_case.worker(lane)
    everywhere = [*worker.said("start"), *heir.said("start")]
    await_that(lambda: waiting in [*worker.said("start"), *heir.said("end")], 20)
    assert running in worker.said("end")
    assert everywhere.count(running) == 1


def test_a_drain_does_not_wait_longer_than_its_grace(queue_case: QueueCase, named: Named) -> None:
    lane = named("lane")
    (held,) = queue_case.dispatch(named("hold"), lane=lane)
    worker = queue_case.worker(lane)
    worker.await_said("start", held.op)
    since = time.monotonic()
    assert worker.child.stdin is not None
    worker.child.stdin.close()
    worker.await_said("drained", worker.name)
    assert time.monotonic() - since < 15
    assert worker.said("end") == []
    worker.kill()
    assert held in queue_case.queue.orphans(["somebody-else"])
