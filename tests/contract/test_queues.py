"""The law of queues, on both adapters and both databases. Workers are real processes."""

import time
from collections.abc import Callable

from fixtures.holdfast import await_that
from fixtures.queues import Bench
from holdfast.contracts.queue import Dispatch

Named = Callable[[str], str]


def test_a_dispatch_commits_or_vanishes_with_its_transaction(bench: Bench, named: Named) -> None:
    lane = named("lane")
    (gone,) = bench.dispatch(named("gone"), lane=lane, priority=1, commit=False)
    (kept,) = bench.dispatch(named("kept"), lane=lane)
    assert bench.queue.lost([gone, kept]) == [gone]
    worker = bench.worker(lane, concurrency=1)
    worker.await_said("end", kept.op)
    assert worker.said("start") == [kept.op]


def test_every_dispatch_is_started_once_by_living_workers(bench: Bench, named: Named) -> None:
    lane = named("lane")
    ops = {named(f"op{number}") for number in range(12)}
    workers = [bench.worker(lane), bench.worker(lane)]
    bench.dispatch(*ops, lane=lane)
    await_that(lambda: {op for w in workers for op in w.said("end")} == ops, 20)
    assert sum(len(worker.said("start")) for worker in workers) == len(ops)


def test_the_smallest_priority_goes_first(bench: Bench, named: Named) -> None:
    lane = named("lane")
    hold = named("hold")
    worker = bench.worker(lane, concurrency=1)
    bench.dispatch(hold, lane=lane)
    worker.await_said("start", hold)
    for priority in (5, 2, 9, 1):
        bench.dispatch(named(f"p{priority}"), lane=lane, priority=priority)
    worker.release()
    wanted = [named(f"p{priority}") for priority in (1, 2, 5, 9)]
    worker.await_said("end", *wanted)
    assert worker.said("start") == [hold, *wanted]


def test_lanes_are_kept_apart(bench: Bench, named: Named) -> None:
    """A worker leaves other lanes alone, and a full lane holds up no other one."""
    mine, yours, other = named("mine"), named("yours"), named("other")
    worker = bench.worker(mine, yours, concurrency=1)
    bench.dispatch(named("strange"), lane=other, priority=1)
    bench.dispatch(named("hold-1"), named("hold-2"), lane=mine)
    await_that(lambda: len(worker.said("start")) == 1, 20)
    bench.dispatch(named("free"), lane=yours)
    worker.await_said("end", named("free"))
    assert len(worker.said("start")) == 2, "more than its concurrency in one lane"
    worker.release()
    worker.await_said("end", named("hold-1"), named("hold-2"))
    assert named("strange") not in worker.said("start")
    assert bench.queue.lost([Dispatch(named("strange"), 1)]) == []


def test_what_a_dead_worker_held_is_orphaned_until_it_is_forgotten(
    bench: Bench, named: Named
) -> None:
    lane = named("lane")
    (held,) = bench.dispatch(named("hold"), lane=lane)
    dead = bench.worker(lane)
    dead.await_said("start", held.op)
    assert held not in bench.queue.orphans([dead.name])
    assert bench.queue.lost([held]) == []
    dead.kill()
    assert held in bench.queue.orphans(["somebody-else"])
    bench.dispatch(held.op, lane=lane, fence=2)
    bench.queue.forget(held)
    heir = bench.worker(lane)
    heir.await_said("start", held.op)
    assert ("start", held.op, 2) in heir.lines
    assert held not in bench.queue.orphans([heir.name])


def test_what_is_over_or_unknown_is_lost(bench: Bench, named: Named) -> None:
    lane = named("lane")
    (done,) = bench.dispatch(named("done"), lane=lane)
    unknown, waiting = Dispatch(named("unknown"), 1), Dispatch(named("waiting"), 7)
    worker = bench.worker(lane)
    worker.await_said("end", done.op)
    bench.dispatch(waiting.op, lane=named("nobody"), fence=7)
    await_that(lambda: bench.queue.lost([done, unknown, waiting]) == [done, unknown], 20)
    assert bench.queue.lost([]) == []


def test_to_forget_what_is_not_there_is_no_error(bench: Bench, named: Named) -> None:
    bench.queue.forget(Dispatch(named("nothing"), 3))


def test_a_forgotten_dispatch_is_not_started(bench: Bench, named: Named) -> None:
    lane = named("lane")
    forgotten, kept = bench.dispatch(named("forgotten"), named("kept"), lane=lane)
    bench.queue.forget(forgotten)
    worker = bench.worker(lane, concurrency=1)
    worker.await_said("end", kept.op)
    assert worker.said("start") == [kept.op]


def test_a_drain_lets_what_runs_end_and_claims_nothing_more(bench: Bench, named: Named) -> None:
    lane = named("lane")
    running, waiting = named("hold"), named("waits")
    worker = bench.worker(lane, concurrency=1)
    bench.dispatch(running, lane=lane)
    worker.await_said("start", running)
    bench.dispatch(waiting, lane=lane)
    worker.release()
    worker.drain()
    assert worker.child.returncode == 0
    heir = bench.worker(lane)
    everywhere = [*worker.said("start"), *heir.said("start")]
    await_that(lambda: waiting in [*worker.said("start"), *heir.said("end")], 20)
    assert running in worker.said("end")
    assert everywhere.count(running) == 1


def test_a_drain_does_not_wait_longer_than_its_grace(bench: Bench, named: Named) -> None:
    lane = named("lane")
    (held,) = bench.dispatch(named("hold"), lane=lane)
    worker = bench.worker(lane)
    worker.await_said("start", held.op)
    since = time.monotonic()
    assert worker.child.stdin is not None
    worker.child.stdin.close()
    worker.await_said("drained", worker.name)
    assert time.monotonic() - since < 15
    assert worker.said("end") == []
    worker.kill()
    assert held in bench.queue.orphans(["somebody-else"])
