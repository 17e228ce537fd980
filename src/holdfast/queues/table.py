"""A queue without an engine: one table of our own and a polling thread.

The second implementer of the contract. It keeps the first one honest (the same chaos test runs
on both) and is the way out should DBOS ever stop being one.
"""

import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from holdfast.contracts.queue import Dispatch, RunOne

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_LOCK = 7342

_table = Table(
    "queue",
    MetaData(),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("op", String(24), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("lane", String(60), nullable=False),
    Column("worker", String(60)),
    UniqueConstraint("op", "fence"),
)


class TableQueue:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._running: dict[Future[None], str] = {}
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # several processes may start at once
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
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
        pool = ThreadPoolExecutor(concurrency * len(lanes), thread_name_prefix="operation")

        def poll() -> None:
            self._running = {f: lane for f, lane in self._running.items() if not f.done()}
            for lane in lanes:
                free = concurrency - list(self._running.values()).count(lane)
                for what in self._claim(worker, lane, free) if free else []:
                    self._running[pool.submit(self._run, run, what)] = lane

        thread = threading.Thread(target=self._poll, args=(poll,), name="queue", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _poll(self, once: Callable[[], None]) -> None:
        """A database that is away for a while must not end the claiming for ever."""
        while not self._stop.wait(_POLL_SECONDS):
            try:
                once()
            except DBAPIError as error:
                log.warning("the queue does not answer", extra={"error": str(error.orig)})

    def _run(self, run: RunOne, what: Dispatch) -> None:
        """Whatever came of it, we hold it no longer: what is not over shows up as lost."""
        try:
            run(what.op, what.fence)
        finally:
            self.forget(what)

    def _claim(self, worker: str, lane: str, limit: int) -> list[Dispatch]:
        waiting = (
            select(_table.c.number, _table.c.op, _table.c.fence)
            .where(_table.c.worker.is_(None), _table.c.lane == lane)
            .order_by(_table.c.priority, _table.c.number)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._engine.begin() as connection:
            found = list(connection.execute(waiting))
            numbers = [row.number for row in found]
            taken = update(_table).where(_table.c.number.in_(numbers)).values(worker=worker)
            if numbers:
                connection.execute(taken)
        return [Dispatch(row.op, row.fence) for row in found]

    def drain(self, grace_seconds: float) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        wait(self._running, timeout=grace_seconds)
