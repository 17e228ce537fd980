"""A queue without a library: one table of our own and a polling thread.

It keeps the contract honest (the same chaos test runs on both queues) and replaces DBOS should that
ever be given up.
"""

import logging
import threading
from collections.abc import Collection, Mapping
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

    def dispatch(
        self, connection: Connection, dispatch: Dispatch, priority: int, lane: str
    ) -> None:
        row = {"op": dispatch.op, "fence": dispatch.fence, "priority": priority, "lane": lane}
        connection.execute(insert(_table), row)

    def orphans(self, live_workers: Collection[str]) -> list[Dispatch]:
        claimed = select(_table.c.op, _table.c.fence).where(
            _table.c.worker.is_not(None), _table.c.worker.not_in(live_workers)
        )
        with self._engine.connect() as connection:
            return [Dispatch(op, fence) for op, fence in connection.execute(claimed)]

    def lost(self, dispatched: Collection[Dispatch]) -> list[Dispatch]:
        ops = {dispatch.op for dispatch in dispatched}
        statement = select(_table.c.op, _table.c.fence).where(_table.c.op.in_(ops))
        with self._engine.connect() as connection:
            alive = {Dispatch(op, fence) for op, fence in connection.execute(statement)}
        return [dispatch for dispatch in dispatched if dispatch not in alive]

    def forget(self, dispatch: Dispatch) -> None:
        statement = delete(_table).where(
            _table.c.op == dispatch.op, _table.c.fence == dispatch.fence
        )
        with self._engine.begin() as connection:
            connection.execute(statement)

    def run_worker(self, worker: str, run: RunOne, lanes: Mapping[str, int]) -> None:
        pool = ThreadPoolExecutor(sum(lanes.values()), thread_name_prefix="operation")

        def poll() -> None:
            self._running = {f: lane for f, lane in self._running.items() if not f.done()}
            for lane, concurrency in lanes.items():
                free = concurrency - list(self._running.values()).count(lane)
                for dispatch in self.claim(worker, lane, free) if free else []:
                    self._running[pool.submit(run_and_forget, dispatch)] = lane

        def run_and_forget(dispatch: Dispatch) -> None:
            """However it ended, we drop it: an operation that is not over shows up as lost."""
            try:
                run(dispatch.op, dispatch.fence)
            finally:
                self.forget(dispatch)

        def poll_until_stopped() -> None:
            while not self._stop.wait(_POLL_SECONDS):
                try:
                    poll()
                except DBAPIError as error:  # a database outage must not end the claiming for ever
                    log.warning("the queue does not answer", extra={"error": str(error.orig)})

        thread = threading.Thread(target=poll_until_stopped, name="queue", daemon=True)
        thread.start()
        self._threads.append(thread)

    def claim(self, worker: str, lane: str, limit: int) -> list[Dispatch]:
        """Claims up to `limit` waiting dispatches of the lane for `worker`."""
        waiting = (
            select(_table.c.number, _table.c.op, _table.c.fence)
            .where(_table.c.worker.is_(None), _table.c.lane == lane)
            .order_by(_table.c.priority, _table.c.number)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._engine.begin() as connection:
            rows = list(connection.execute(waiting))
            numbers = [row.number for row in rows]
            statement = update(_table).where(_table.c.number.in_(numbers)).values(worker=worker)
            if numbers:
                connection.execute(statement)
        return [Dispatch(row.op, row.fence) for row in rows]

    def drain(self, grace_seconds: float) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        wait(self._running, timeout=grace_seconds)
