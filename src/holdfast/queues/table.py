"""A queue without an engine: one table of our own and a polling thread.

The second implementer of the contract. It keeps the first one honest (the same chaos test runs
on both) and is the way out should DBOS ever stop being one.
"""

import threading
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from holdfast.contracts.queue import Dispatch, RunOne

_POLL_SECONDS = 0.1

_table = Table(
    "queue",
    MetaData(),
    Column("op", String(24), primary_key=True),
    Column("fence", BigInteger, primary_key=True),
    Column("priority", BigInteger, nullable=False),
    Column("lane", String(60), nullable=False),
    Column("worker", String(60)),
)


class TableQueue:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._running: set[Future[None]] = set()
        with engine.begin() as connection:
            _table.create(connection, checkfirst=True)

    def dispatch(self, connection: Connection, what: Dispatch, priority: int, lane: str) -> None:
        row = {"op": what.op, "fence": what.fence, "priority": priority, "lane": lane}
        connection.execute(insert(_table), row)

    def orphans(self, live_workers: Collection[str]) -> list[Dispatch]:
        claimed = select(_table.c.op, _table.c.fence).where(
            _table.c.worker.is_not(None), _table.c.worker.not_in(live_workers)
        )
        with self._engine.connect() as connection:
            return [Dispatch(op, fence) for op, fence in connection.execute(claimed)]

    def lost(self, dispatched: Collection[Dispatch]) -> list[Dispatch]:
        ops = {what.op for what in dispatched}
        held = select(_table.c.op, _table.c.fence).where(_table.c.op.in_(ops))
        with self._engine.connect() as connection:
            alive = {Dispatch(op, fence) for op, fence in connection.execute(held)}
        return [what for what in dispatched if what not in alive]

    def forget(self, what: Dispatch) -> None:
        gone = delete(_table).where(_table.c.op == what.op, _table.c.fence == what.fence)
        with self._engine.begin() as connection:
            connection.execute(gone)

    def run_worker(self, worker: str, run: RunOne, concurrency: int, lanes: list[str]) -> None:
        pool = ThreadPoolExecutor(concurrency, thread_name_prefix="operation")

        def poll() -> None:
            while not self._stop.wait(_POLL_SECONDS):
                self._running = {future for future in self._running if not future.done()}
                free = concurrency - len(self._running)
                for what in self._claim(worker, lanes, free):
                    self._running.add(pool.submit(self._run, run, what))

        thread = threading.Thread(target=poll, name="queue", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self, run: RunOne, what: Dispatch) -> None:
        run(what.op, what.fence)
        self.forget(what)

    def _claim(self, worker: str, lanes: list[str], limit: int) -> list[Dispatch]:
        waiting = (
            select(_table.c.op, _table.c.fence)
            .where(_table.c.worker.is_(None), _table.c.lane.in_(lanes))
            .order_by(_table.c.priority)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._engine.begin() as connection:
            claimed = [Dispatch(op, fence) for op, fence in connection.execute(waiting)]
            for what in claimed:
                connection.execute(
                    update(_table)
                    .where(_table.c.op == what.op, _table.c.fence == what.fence)
                    .values(worker=worker)
                )
        return claimed

    def drain(self, grace_seconds: float) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        wait(self._running, timeout=grace_seconds)
