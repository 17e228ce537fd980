"""DBOS Transact as the durable queue: enqueues in our transaction, claims, runs, drains.

Only its public API is used, and only for carrying: a workflow is one call of `run`, its id is
`<operation>.<fence>`, so a dispatch can be enqueued once. Its recovery, cancellation and
schedules are not used (docs/adr/0003): the executor id is new at every start, so it never finds
work of its own to recover, and the application version is a constant, so an upgrade finds the
rows of the version before it.
"""

import logging
from collections.abc import Collection
from datetime import UTC, datetime

from dbos import DBOS, DBOSClient, run_dbos_database_migrations
from sqlalchemy import Connection, Engine

from holdfast.contracts.queue import Dispatch, RunOne
from holdfast.kit.clock import Clock

_APP = "holdfast"
_VERSION = "ops-v1"
_WORKFLOW = "run-operation"
_OVER = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_KEEP_MS = 24 * 3600 * 1000


def _key(what: Dispatch) -> str:
    return f"{what.op}.{what.fence}"


def _parsed(workflow_id: str) -> Dispatch:
    op, _, fence = workflow_id.rpartition(".")
    return Dispatch(op, int(fence))


class DbosQueue:
    """One process's access to the queue in the catalogue's own database; a worker looks for work
    every so many seconds."""

    def __init__(self, url: str, clock: Clock, every: float, engine: Engine | None = None) -> None:
        """`engine`: connections to that database that do not wait for ever; None: DBOS' own."""
        self._url = url
        self._engine = engine
        self._clock = clock
        self._every = every
        logging.getLogger("dbos").setLevel(logging.WARNING)
        run_dbos_database_migrations(system_database_url=url)
        self._client = DBOSClient(
            system_database_url=url, application_name=_APP, system_database_engine=engine
        )

    def dispatch(self, connection: Connection, what: Dispatch, priority: int, lane: str) -> None:
        self._client.enqueue_in_transaction(
            connection,
            {
                "workflow_name": _WORKFLOW,
                "queue_name": lane,
                "workflow_id": _key(what),
                "app_version": _VERSION,
                "priority": priority,
            },
            what.op,
            what.fence,
        )

    def orphans(self, live_workers: Collection[str]) -> list[Dispatch]:
        claimed = self._client.list_workflows(
            status="PENDING", name=_WORKFLOW, load_input=False, load_output=False
        )
        return [_parsed(w.workflow_id) for w in claimed if w.executor_id not in live_workers]

    def lost(self, dispatched: Collection[Dispatch]) -> list[Dispatch]:
        self._purge()
        if not dispatched:
            return []
        held = self._client.list_workflows(
            workflow_ids=[_key(what) for what in dispatched], load_input=False, load_output=False
        )
        alive = {w.workflow_id for w in held if w.status not in _OVER}
        return [what for what in dispatched if _key(what) not in alive]

    def forget(self, what: Dispatch) -> None:
        self._client.cancel_workflow(_key(what))

    def _purge(self) -> None:
        """Drops the rows of work that ended more than a day ago: DBOS itself keeps them."""
        before = datetime.fromtimestamp((self._clock.now() - _KEEP_MS) / 1000, tz=UTC).isoformat()
        over = self._client.list_workflows(
            status=sorted(_OVER), end_time=before, limit=1000, load_input=False, load_output=False
        )
        if over:
            self._client.delete_workflows([w.workflow_id for w in over])

    def run_worker(self, worker: str, run: RunOne, concurrency: int, lanes: list[str]) -> None:
        @DBOS.workflow(name=_WORKFLOW)
        def run_operation(op: str, fence: int) -> None:  # pyright: ignore[reportUnusedFunction]
            run(op, fence)

        DBOS(
            config={
                "name": _APP,
                "system_database_url": self._url,
                "system_database_engine": self._engine,
                "executor_id": worker,
                "application_version": _VERSION,
                "enable_otlp": False,
                "log_level": "WARNING",
            }
        )
        for lane in lanes:  # before the launch, which begins to look at once at those that it finds
            self._client.register_queue(
                lane, worker_concurrency=concurrency, polling_interval_sec=self._every
            )
        DBOS.listen_queues(lanes)
        DBOS.launch()

    def drain(self, grace_seconds: float) -> None:
        DBOS.destroy(workflow_completion_timeout_sec=round(grace_seconds))
        self._client.destroy()
        if self._engine is not None:
            self._engine.dispose()
